import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { type BuildOptions, build, type Plugin } from "esbuild"
import { compile } from "svelte/compiler"

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url))

/** Components of Svelte, for a page or for a server. */
const svelte = (generate: "client" | "server"): Plugin => ({
  name: "svelte",
  setup: ({ onLoad }) => {
    onLoad({ filter: /\.svelte$/ }, async ({ path }) => ({
      contents: compile(await readFile(path, "utf8"), { filename: path, generate, css: "injected" }).js.code
    }))
  }
})

const common = {
  bundle: true,
  write: false,
  format: "esm",
  target: "es2022",
  logLevel: "silent"
} satisfies BuildOptions

/** A module that puts `page` into a page. */
export const bundlePage = async (framework: string): Promise<string> => {
  const entry = { react: "react.tsx", vue: "vue.ts", svelte: "svelte.js" }[framework] ?? ""
  const { outputFiles } = await build({
    ...common,
    entryPoints: [here(entry)],
    platform: "browser",
    // Frameworks tell of mismatches while they are developed with.
    conditions: ["stratix-source", "browser", "development"],
    define: {
      "process.env.NODE_ENV": '"development"',
      __VUE_OPTIONS_API__: "true",
      __VUE_PROD_DEVTOOLS__: "false",
      __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: "true"
    },
    plugins: [svelte("client")]
  })
  return outputFiles[0]?.text ?? ""
}

/** Svelte's example has a compiled form of its own for servers, which is loaded as a server loads it. */
export const svelteOnServer = async (url: string): Promise<string> => {
  const { outputFiles } = await build({
    ...common,
    stdin: {
      contents:
        'export { default as App } from "../../../examples/HooksSvelte.svelte"; export { render } from "svelte/server"',
      resolveDir: here(".")
    },
    platform: "node",
    conditions: ["stratix-source"],
    plugins: [svelte("server")]
  })
  const folder = await mkdtemp(join(here("../../.."), "node_modules/.svelte-"))
  try {
    const file = join(folder, "server.mjs")
    await writeFile(file, outputFiles[0]?.text ?? "")
    const { App, render } = await import(pathToFileURL(file).href)
    const { body } = await render(App, { props: { url } })
    return body
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
