import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { bundlePrograms } from "../../../scripts/lib/bundle-program.mjs"

const root = fileURLToPath(new URL("../../..", import.meta.url))
const cache = join(root, ".cache", "programs")

const sources = (): ReadonlyArray<string> =>
  readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => join(root, "src", name))

/** Builds that nobody starts any more: a test run is long over after this time. */
const OLD_MS = 60 * 60 * 1000

/** The programs as JavaScript, built once for each state of the sources; answers the path of one. Bundled, because they are
 * started some hundred times. `npm run check-package` starts them as
 * they are in the package. */
export const buildProgram = async (folder: "stratix-cli" | "stratix-gateway"): Promise<string> => {
  const paths = sources()
  const newest = Math.max(...paths.map((path) => statSync(path).mtimeMs))
  const name = `${paths.length}-${Math.floor(newest)}`
  const target = join(cache, name)
  if (!existsSync(target)) {
    mkdirSync(cache, { recursive: true })
    const scratch = `${target}.${process.pid}`
    await bundlePrograms(
      { "stratix-cli": "stratix-cli/main.ts", "stratix-gateway": "stratix-gateway/main.ts" },
      scratch
    )
    try {
      renameSync(scratch, target)
    } catch {
      // Another test file was faster.
      rmSync(scratch, { recursive: true, force: true })
    }
    for (const other of readdirSync(cache)) {
      const path = join(cache, other)
      // What another test file is building is soon called otherwise.
      const madeAt = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Number.POSITIVE_INFINITY
      if (other !== name && Date.now() - madeAt > OLD_MS) rmSync(path, { recursive: true, force: true })
    }
  }
  return join(target, `${folder}.js`)
}

/** `stratix-status-sync`. */
export const buildCli = (): Promise<string> => buildProgram("stratix-cli")
