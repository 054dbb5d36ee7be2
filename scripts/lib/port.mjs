/** Ports of this machine. */
import { once } from "node:events"
import { createServer } from "node:net"

/** The port a server listens on.
 * @type {(server: import("node:net").Server) => number} */
export const portOf = (server) => {
  const address = server.address()
  return typeof address === "object" && address !== null ? address.port : 0
}

/** A port on which nothing listens. */
export const freePort = async () => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const port = portOf(server)
  server.close()
  await once(server, "close")
  return port
}
