// Bundles the dashboard into dist/stratix-dashboard: one script, one style sheet, one page, no request to anywhere else.
import { copyFile, mkdir } from "node:fs/promises"
import { fileURLToPath } from "node:url"
import { build } from "esbuild"

const path = (/** @type {string} */ name) => fileURLToPath(new URL(`../${name}`, import.meta.url))
const target = path("dist/stratix-dashboard")

await mkdir(target, { recursive: true })
await build({
  entryPoints: { app: path("src/stratix-dashboard/main.tsx"), styles: path("src/stratix-dashboard/styles.css") },
  outdir: target,
  entryNames: "[name]",
  bundle: true,
  minify: true,
  format: "esm",
  // The first browsers with light-dark() in CSS.
  target: ["chrome123", "firefox120", "safari17.5"],
  jsx: "automatic",
  jsxImportSource: "preact",
  conditions: ["stratix-source"],
  logLevel: "warning"
})
await copyFile(path("src/stratix-dashboard/index.html"), `${target}/index.html`)
