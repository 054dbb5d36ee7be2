/** Options of a script that are numbers above 0. */
import { parseArgs } from "node:util"

/** Their values, or what stands for those that are absent. Ends the program where help is asked for, or an option is none. */
export const numbers = (defaults, usage) => {
  const names = Object.keys(defaults)
  const { values } = parseArgs({
    options: {
      ...Object.fromEntries(names.map((name) => [name, { type: "string", default: String(defaults[name]) }])),
      help: { type: "boolean", short: "h", default: false }
    }
  })
  if (values.help) {
    console.log(usage)
    process.exit(0)
  }
  const wrong = names.find((name) => !(Number(values[name]) > 0))
  if (wrong !== undefined) {
    console.error(`--${wrong} must be a number above 0, is "${values[wrong]}"\n\n${usage}`)
    process.exit(2)
  }
  return Object.fromEntries(names.map((name) => [name, Number(values[name])]))
}
