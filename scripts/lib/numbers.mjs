/** Options of a script that are numbers above 0. */
import { parseArgs } from "node:util"

/** Their values, or what stands for those that are absent. Ends the program where help is asked for, or an option is none.
 * @template {string} Name
 * @param {Readonly<Record<Name, number>>} defaults
 * @param {string} usage
 * @returns {{ readonly [name in Name]: number }} */
export const numbers = (defaults, usage) => {
  const names = Object.keys(defaults)
  const fail = (problem) => {
    console.error(`${problem}\n\n${usage}`)
    process.exit(2)
  }
  const parsed = () => {
    try {
      return parseArgs({
        options: {
          ...Object.fromEntries(names.map((name) => [name, { type: "string", default: String(defaults[name]) }])),
          help: { type: "boolean", short: "h", default: false }
        }
      })
    } catch (error) {
      return fail(error instanceof Error ? error.message : String(error))
    }
  }
  const { values } = parsed()
  if (values.help) {
    console.log(usage)
    process.exit(0)
  }
  const wrong = names.find((name) => !(Number(values[name]) > 0))
  if (wrong !== undefined) fail(`--${wrong} must be a number above 0, is "${values[wrong]}"`)
  return /** @type {Record<Name, number>} */ (Object.fromEntries(names.map((name) => [name, Number(values[name])])))
}
