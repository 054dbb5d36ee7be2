// @ts-check
import { copyFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { build } from "esbuild"

const source = (/** @type {string} */ name) => fileURLToPath(new URL(`../../src/${name}`, import.meta.url))

/** `ws` and others are CommonJS, and ask for modules of node. */
const REQUIRE =
  'import { createRequire as makeRequire } from "node:module"; const require = makeRequire(import.meta.url);'

const WORKER = "JournalWorker.js"

/** Bundles programs with all they need, in few files: read one by one, hundreds of modules take most of the time of a start. What is
 * imported dynamically is a file of its own, which is read when it is needed.
 * @param {{ readonly [name: string]: string }} entries what each is called in the folder, without `.js`, and its source below src
 * @param {string} folder */
export const bundlePrograms = async (entries, folder) => {
  const built = await build({
    entryPoints: Object.fromEntries(Object.entries(entries).map(([name, path]) => [name, source(path)])),
    outdir: folder,
    bundle: true,
    splitting: true,
    chunkNames: "chunks/[name]-[hash]",
    format: "esm",
    platform: "node",
    target: "node20",
    // Examples import the package: its source, so that no build is needed first.
    conditions: ["stratix-source", "module"],
    // An optional peer, 12 MB: those have it installed whose log is in a Redis.
    external: ["@redis/client"],
    // Names stay, for readers of stack traces.
    minifySyntax: true,
    minifyWhitespace: true,
    banner: { js: REQUIRE },
    metafile: true,
    logLevel: "warning"
  })
  // The thread of a log in a file is a program of its own, which is looked for beside what starts it.
  for (const [output, { inputs }] of Object.entries(built.metafile.outputs)) {
    if (Object.keys(inputs).some((path) => path.endsWith("/log/file/Journal.ts")))
      await copyFile(source(`stratix-gateway/log/file/${WORKER}`), join(dirname(output), WORKER))
  }
  return built
}
