// @ts-check
/** Brings what is generated in the documentation up to date: the knobs in docs/configuration.md, the help in docs/cli.md, docs/asyncapi.json. Reads the build. */
import { execFileSync } from "node:child_process"
import { readFile, writeFile } from "node:fs/promises"
import { fileURLToPath } from "node:url"
import { asyncApi } from "./lib/asyncapi.mjs"
import { commandsIn, withHelp } from "./lib/cli-help.mjs"
import { knobsTable, withKnobsTable } from "./lib/knobs-table.mjs"

/** @type {(name: string, change: (page: string) => string) => Promise<void>} */
const bringUpToDate = async (name, change) => {
  const path = new URL(`../${name}`, import.meta.url)
  const page = await readFile(path, "utf8")
  const current = change(page)
  if (current !== page) await writeFile(path, current)
  console.log(current === page ? `${name} is current` : `${name}: brought up to date`)
}

// Not a static import, which the type check would want to find before there is a build.
const { knobs } = await import(new URL("../dist/stratix-gateway/config/StatusSyncConfig.js", import.meta.url).href)
await bringUpToDate("docs/configuration.md", (page) => withKnobsTable(page, knobsTable(knobs)))

const program = fileURLToPath(new URL("../dist/stratix-cli/main.js", import.meta.url))
/** @type {(command: string) => string} */
const helpOf = (command) => {
  const words = command.split(" ").filter((word) => word !== "")
  return execFileSync(process.execPath, [program, ...words, "--help"], { encoding: "utf8" })
}
await bringUpToDate("docs/cli.md", (page) =>
  withHelp(page, new Map(commandsIn(page).map((command) => [command, helpOf(command)])))
)

/** @type {(name: string) => Promise<string>} */
const read = (name) => readFile(new URL(`../${name}`, import.meta.url), "utf8")
const document = asyncApi({
  protocol: await import(new URL("../dist/stratix-core/index.js", import.meta.url).href),
  page: await read("docs/PROTOCOL.md"),
  version: JSON.parse(await read("package.json")).version,
  port: knobs.port.default
})
await bringUpToDate("docs/asyncapi.json", () => `${JSON.stringify(document, null, 2)}\n`)
