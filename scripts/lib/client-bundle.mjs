// @ts-check
import { fileURLToPath } from "node:url"

const entry = fileURLToPath(new URL("../../src/stratix-client/StatusClient.ts", import.meta.url))

/** How esbuild makes one module of the browser client. */
export const clientBundle = /** @satisfies {import("esbuild").BuildOptions} */ ({
  entryPoints: [entry],
  bundle: true,
  minify: true,
  format: "esm",
  platform: "browser",
  target: "es2022"
})
