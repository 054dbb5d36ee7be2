/** The hooks with the oldest version of each framework that package.json allows, in Chromium against a real gateway. */
import { execFile } from "node:child_process"
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { Effect } from "effect"
import { build, type Plugin } from "esbuild"
import { afterAll, assert, beforeAll } from "vitest"
import * as Chromium from "../stratix-client/support/Chromium.js"
import { startGateway, tab } from "../stratix-client/support/screens.js"
import { describeWith } from "../support/shared-layer.js"

const root = fileURLToPath(new URL("../..", import.meta.url))
const { peerDependencies } = JSON.parse(await readFile(join(root, "package.json"), "utf8"))

/** An installation from the registry takes seconds; this is for a slow network. */
const INSTALL_TIMEOUT_MS = 180_000

const oldest = (name: string) => `${name}@${String(peerDependencies[name]).replace(">=", "")}`

/** The same page for each: how true it is, each agent, and the commands of one. */
const pages: { readonly [framework: string]: (url: string) => string } = {
  react: (url) => `
    import { createElement as h, Fragment } from "react"
    import { createRoot } from "react-dom/client"
    import { StatusProvider, useAgent, useAgents, useCommands, useFreshness } from "stratix-status-sync/react"
    const Page = () => h(Fragment, null,
      h("p", null, "freshness " + useFreshness()._tag),
      h("p", null, "one " + useAgent("a1")?.status),
      h("p", null, "all " + useAgents().map(({ id, status }) => id + "=" + status).join()),
      h("p", null, "commands " + useCommands({ agentId: "a1" }).map(({ progress }) => progress).join()))
    createRoot(document.body.appendChild(document.createElement("div"))).render(
      h(StatusProvider, { url: "${url}" }, h(Page)))`,
  vue: (url) => `
    import { createApp, h } from "vue"
    import { provideStatus, useAgent, useAgents, useCommands, useFreshness } from "stratix-status-sync/vue"
    const Page = {
      setup() {
        const [freshness, one, all, commands] = [useFreshness(), useAgent("a1"), useAgents(), useCommands(() => ({ agentId: "a1" }))]
        return () => [
          h("p", "freshness " + freshness.value._tag),
          h("p", "one " + one.value?.status),
          h("p", "all " + all.value.map(({ id, status }) => id + "=" + status).join()),
          h("p", "commands " + commands.value.map(({ progress }) => progress).join())
        ]
      }
    }
    const App = { setup() { provideStatus({ url: "${url}" }); return () => h(Page) } }
    createApp(App).mount(document.body.appendChild(document.createElement("div")))`,
  svelte: (url) => `
    import App from "App.svelte"
    new App({ target: document.body, props: { url: "${url}" } })`
}

const components: { readonly [name: string]: string } = {
  "App.svelte": `<script>
    import { setStatus } from "stratix-status-sync/svelte"
    import Page from "Page.svelte"
    export let url
    setStatus({ url })
  </script><Page />`,
  "Page.svelte": `<script>
    import { useAgent, useAgents, useCommands, useFreshness } from "stratix-status-sync/svelte"
    const [freshness, one, all, commands] = [useFreshness(), useAgent("a1"), useAgents(), useCommands({ agentId: "a1" })]
  </script>
  <p>freshness {$freshness._tag}</p>
  <p>one {$one?.status}</p>
  <p>all {$all.map(({ id, status }) => id + "=" + status).join()}</p>
  <p>commands {$commands.map(({ progress }) => progress).join()}</p>`
}

let folder = ""
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "stratix-oldest-"))
  await writeFile(join(folder, "package.json"), JSON.stringify({ name: "page", private: true }))
  const wanted = [oldest("react"), oldest("react").replace("react", "react-dom"), oldest("vue"), oldest("svelte")]
  await promisify(execFile)("npm", ["install", "--ignore-scripts", "--no-audit", "--no-fund", ...wanted], {
    cwd: folder,
    timeout: INSTALL_TIMEOUT_MS
  })
}, INSTALL_TIMEOUT_MS)
afterAll(() => rm(folder, { recursive: true, force: true }))

/** The page, with the frameworks of the folder and the hooks of this tree. */
const bundled = async (page: string): Promise<string> => {
  const svelte = createRequire(join(folder, "package.json"))("svelte/compiler")
  const inFolder: Plugin = {
    name: "in-folder",
    setup: ({ onLoad, onResolve, resolve }) => {
      onResolve({ filter: /\.svelte$/ }, ({ path }) => ({ path, namespace: "component" }))
      onLoad({ filter: /.*/, namespace: "component" }, ({ path }) => ({
        contents: svelte.compile(components[path], { filename: path }).js.code,
        resolveDir: root
      }))
      // Also where the hooks ask for them, beside which there are others.
      onResolve({ filter: /^(react|react-dom|vue|svelte)(\/|$)/ }, ({ importer, kind, path, resolveDir }) =>
        resolveDir.startsWith(folder) ? undefined : resolve(path, { importer, kind, resolveDir: folder })
      )
    }
  }
  const { outputFiles } = await build({
    stdin: { contents: page, resolveDir: root },
    bundle: true,
    write: false,
    format: "esm",
    platform: "browser",
    conditions: ["stratix-source", "browser"],
    define: { "process.env.NODE_ENV": '"production"' },
    logLevel: "silent",
    plugins: [inFolder]
  })
  return outputFiles[0]?.text ?? ""
}

describeWith(Chromium.layer, 90_000)("the hooks with the oldest version of", (test) => {
  for (const framework of ["react", "vue", "svelte"]) {
    test(oldest(framework), () =>
      Effect.gen(function* () {
        const manifest = yield* Effect.promise(() =>
          readFile(join(folder, "node_modules", framework, "package.json"), "utf8")
        )
        assert.strictEqual(`${framework}@${JSON.parse(manifest).version}`, oldest(framework))
        const gateway = yield* startGateway()
        yield* gateway.sync.notifyAgentStatus("a1", "online")
        yield* gateway.sync.notifyCommandStatus("c1", "a1", "running", 40)
        const page = yield* tab
        const code = yield* Effect.promise(() => bundled(pages[framework]?.(gateway.url) ?? ""))
        yield* page.runs(code)
        for (const text of ["freshness live", "one online", "all a1=online", "commands 40"]) yield* page.reads(text)
        yield* gateway.sync.notifyAgentStatus("a1", "busy")
        yield* gateway.sync.notifyAgentStatus("a2", "error")
        yield* gateway.sync.notifyCommandStatus("c1", "a1", "success", 100)
        for (const text of ["one busy", "all a1=busy,a2=error", "commands 100"]) yield* page.reads(text)
        yield* gateway.sync.notifyAgentRemove("a1", { commands: true })
        for (const text of ["one undefined", "all a2=error", "commands"]) yield* page.reads(text)
      })
    )
  }
})
