// @ts-check
// Bundles the command line into dist/stratix-cli, with all it needs but what belongs to Node.
import { execFileSync } from "node:child_process"
import { readdir, readFile, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { bundlePrograms } from "./lib/bundle-program.mjs"

const target = fileURLToPath(new URL("../dist/stratix-cli/", import.meta.url))

await rm(target, { recursive: true, force: true })
const { metafile } = await bundlePrograms({ main: "stratix-cli/main.ts" }, target)

// The licenses of what is inside ask to be told with it.
const packages = new Set(
  Object.keys(metafile.inputs).flatMap((path) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? [])
)
const notices = await Promise.all(
  [...packages].sort().map(async (folder) => {
    const file = (await readdir(folder)).find((name) => /^licen[sc]e/i.test(name))
    const { license, name, version } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"))
    const text = file === undefined ? license : await readFile(join(folder, file), "utf8")
    return `${name} ${version}\n\n${text.trim()}\n`
  })
)
await writeFile(join(target, "LICENSES.txt"), notices.join(`\n${"-".repeat(80)}\n\n`))

// The program's own help, which it shows without loading what made it.
/** @type {(environment: Record<string, string>) => string} */
const help = (environment) => {
  const { FORCE_COLOR: _, NO_COLOR: __, ...env } = process.env
  return execFileSync(process.execPath, [join(target, "main.js"), "--help"], {
    encoding: "utf8",
    env: { ...env, ...environment }
  })
}
const plain = help({ NO_COLOR: "1" })
const coloured = help({ FORCE_COLOR: "1" })
await writeFile(join(target, "help.txt"), plain)
await writeFile(join(target, "help.ansi"), coloured)
