// @ts-check
/** Brings what is generated in the documentation up to date: the README's table of knobs. Reads the build. */
import { readFile, writeFile } from "node:fs/promises"
import { knobsTable, withKnobsTable } from "./lib/knobs-table.mjs"

// Not a static import, which the type check would want to find before there is a build.
const { knobs } = await import(new URL("../dist/stratix-gateway/StatusSyncConfig.js", import.meta.url).href)
const path = new URL("../README.md", import.meta.url)
const readme = await readFile(path, "utf8")
const current = withKnobsTable(readme, knobsTable(knobs))
if (current !== readme) await writeFile(path, current)
console.log(current === readme ? "README.md is current" : "README.md: brought up to date")
