/** Calls `onLine` for every line of a stream of text chunks. */
export const lines = (onLine) => {
  let rest = ""
  return (chunk) => {
    const parts = (rest + chunk).split("\n")
    rest = parts.pop() ?? ""
    for (const line of parts) if (line !== "") onLine(line)
  }
}

/** The line with which a load client says "everybody has the burst", and a server takes leave to publish the next. */
export const ACK = "a"
