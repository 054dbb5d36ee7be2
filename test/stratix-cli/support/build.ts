import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { build } from "esbuild"

const root = fileURLToPath(new URL("../../..", import.meta.url))
const cache = join(root, ".cache", "cli")

const sources = (): ReadonlyArray<string> =>
  readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => join(root, "src", name))

/** Builds that nobody starts any more: a test run is long over after this time. */
const OLD_MS = 60 * 60 * 1000

/** The program as JavaScript, built once for each state of the sources; answers the path of its first module. Each source becomes one
 * module, as in the package, so that it starts as it does there. */
export const buildCli = async (): Promise<string> => {
  const entryPoints = sources()
  const newest = Math.max(...entryPoints.map((path) => statSync(path).mtimeMs))
  const name = `${entryPoints.length}-${Math.floor(newest)}`
  const target = join(cache, name)
  if (!existsSync(target)) {
    mkdirSync(cache, { recursive: true })
    const scratch = `${target}.${process.pid}`
    await build({
      entryPoints: [...entryPoints],
      outdir: scratch,
      outbase: join(root, "src"),
      format: "esm",
      platform: "node",
      target: "node20",
      logLevel: "error"
    })
    try {
      renameSync(scratch, target)
    } catch {
      // Another test file was faster.
      rmSync(scratch, { recursive: true, force: true })
    }
    for (const other of readdirSync(cache)) {
      const path = join(cache, other)
      if (other !== name && Date.now() - statSync(path).mtimeMs > OLD_MS) rmSync(path, { recursive: true, force: true })
    }
  }
  return join(target, "stratix-cli", "main.js")
}
