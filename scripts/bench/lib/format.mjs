/** Figures and tables as they are read. */

export const number = (value) => {
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : value >= 1 ? 2 : 3
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits })
}

export const whole = (value) => value.toLocaleString("en", { maximumFractionDigits: 0 })

export const table = (head, rows) =>
  [head, head.map((_, column) => (column === 0 ? ":--" : "--:")), ...rows]
    .map((cells) => `| ${cells.join(" | ")} |`)
    .join("\n")
