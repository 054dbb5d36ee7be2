#!/usr/bin/env node
/**
 * `stratix-status-sync`, the program. What it says of itself it says without loading the rest, which takes most of the time of a start.
 */
import { readFileSync } from "node:fs"
import { version } from "../stratix-gateway/runtime/Version.js"

/** As `Output` decides it. */
const isColoured = (): boolean => {
  const { FORCE_COLOR = "", NO_COLOR = "", TERM } = process.env
  if (NO_COLOR !== "" || (TERM === "dumb" && FORCE_COLOR === "")) return false
  return process.stdout.isTTY === true || (FORCE_COLOR !== "" && FORCE_COLOR !== "0")
}

/** The help as the build has written it down; `undefined` where nothing was built. */
const helpAsBuilt = (): string | undefined => {
  try {
    return readFileSync(new URL(isColoured() ? "help.ansi" : "help.txt", import.meta.url), "utf8")
  } catch {
    return undefined
  }
}

/** The answer to a question about the program itself. */
const answer = ([word, ...more]: ReadonlyArray<string>): string | undefined => {
  if (more.length > 0) return undefined
  if (word === "--version") return `${version}\n`
  return word === undefined || word === "-h" || word === "--help" ? helpAsBuilt() : undefined
}

const text = answer(process.argv.slice(2))
if (text === undefined) await import("./start.js")
else {
  // A reader that has gone, as in `--help | true`.
  process.stdout.on("error", () => undefined)
  process.stdout.write(text)
}
