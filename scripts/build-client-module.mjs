// @ts-check
// Bundles the browser client into one module, dist/client.js, for pages without a bundler.
import { mkdir, writeFile } from "node:fs/promises"
import { fileURLToPath } from "node:url"
import { build } from "esbuild"
import { clientBundle } from "./lib/client-bundle.mjs"

const target = fileURLToPath(new URL("../dist/", import.meta.url))

await mkdir(target, { recursive: true })
await build({ ...clientBundle, outfile: `${target}client.js`, logLevel: "warning" })
await writeFile(`${target}client.d.ts`, 'export * from "./stratix-client/StatusClient.js"\n')
