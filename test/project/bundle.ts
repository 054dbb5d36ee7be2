import { builtinModules } from "node:module"
import { type BuildOptions, build, type Plugin } from "esbuild"

const builtins = new Set(builtinModules)

/** Notes every node builtin that is asked for, instead of failing at the first one. */
const noteBuiltins = (asked: Array<string>): Plugin => ({
  name: "note-builtins",
  setup: ({ onResolve }) => {
    onResolve({ filter: /.*/ }, ({ importer, path }) => {
      if (!path.startsWith("node:") && !builtins.has(path)) return undefined
      asked.push(`${path} by ${importer}`)
      return { path, external: true }
    })
  }
})

/** Bundles a module for the browser: what it asks of node, what it reads, and what of that is left in the bundle. */
export const bundle = async (source: string) => {
  const asked: Array<string> = []
  const options = {
    stdin: { contents: source, resolveDir: process.cwd(), loader: "ts" },
    // As a dashboard's bundler sees the package, but its source, so that no build is needed first.
    conditions: ["stratix-source"],
    platform: "browser",
    format: "esm",
    bundle: true,
    minify: true,
    write: false,
    metafile: true,
    plugins: [noteBuiltins(asked)]
  } satisfies BuildOptions
  const { metafile, outputFiles } = await build(options)
  const inputs = Object.keys(metafile.inputs)
  const kept = Object.values(metafile.outputs).flatMap((output) =>
    Object.entries(output.inputs).flatMap(([path, { bytesInOutput }]) => (bytesInOutput > 0 ? [path] : []))
  )
  return { asked, inputs, kept, code: outputFiles.map((file) => file.text).join("") }
}

/** Whether a path of a bundle belongs to the server alone. */
export const isServerModule = (path: string) =>
  /^src\/stratix-(?!core\/|client\/)/.test(path) ||
  /node_modules\/(ws|undici|@effect\/(platform|platform-node.*))\//.test(path)
