/** The hooks of each framework in a real Chromium against a real gateway, and on a server. */
import { once } from "node:events"
import { createServer } from "node:http"
import * as Effect from "effect/Effect"
import { type Browser, chromium, type Page } from "playwright-core"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { startGateway } from "../stratix-client/support/screens.js"
import { bundlePage } from "./pages/bundle.js"
import { renderOnServer } from "./pages/render.js"

const executablePath = process.env["CHROMIUM"] ?? "/usr/bin/chromium"

/** For what hangs. */
const PATIENCE = 60_000

let browser: Browser
beforeAll(async () => {
  browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] })
}, PATIENCE)
afterAll(() => browser.close())

/** Serves a page and its script: a page that no address of this machine has served may not connect to it. */
const served = (html: string, script: string) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const server = createServer(({ url }, response) => {
        const isScript = url === "/page.js"
        response.setHeader("content-type", `${isScript ? "text/javascript" : "text/html"}; charset=utf-8`)
        response.end(isScript ? script : html)
      })
      await once(server.listen(0, "127.0.0.1"), "listening")
      const address = server.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      return { server, url: `http://127.0.0.1:${port}/` }
    }),
    ({ server }) =>
      Effect.sync(() => {
        server.closeAllConnections()
        server.close()
      })
  )

const opened = (body: string, script: string) =>
  Effect.gen(function* () {
    const html = `<!doctype html><link rel="icon" href="data:,"><div id="app">${body}</div><script type="module" src="page.js"></script>`
    const { url } = yield* served(html, script)
    const page = yield* Effect.acquireRelease(
      Effect.promise(() => browser.newPage()),
      (made) => Effect.promise(() => made.close())
    )
    const complaints: Array<string> = []
    page.setDefaultTimeout(PATIENCE)
    page.on("pageerror", ({ message }) => complaints.push(message))
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) complaints.push(message.text())
    })
    yield* Effect.promise(() => page.goto(url))
    return { page, complaints }
  })

const reads = (page: Page, text: string) =>
  Effect.promise(() => page.getByText(text, { exact: true }).first().waitFor())
const rendersOf = (page: Page) => Effect.promise(() => page.evaluate(() => ({ ...globalThis.renders })))

for (const framework of ["react", "vue", "svelte"]) {
  describe(`hooks of ${framework}`, () => {
    let script = ""
    beforeAll(async () => {
      script = await bundlePage(framework)
    }, PATIENCE)

    const render = renderOnServer[framework]
    if (!render) throw new Error(framework)

    it("a server renders that it is connecting, and opens nothing", async () => {
      const saved = { WebSocket: globalThis.WebSocket, fetch: globalThis.fetch }
      const refuse = () => {
        throw new Error("a server connects")
      }
      Object.assign(globalThis, { WebSocket: refuse, fetch: refuse })
      try {
        const html = await render("ws://127.0.0.1:9/")
        assert.match(html, /<p>connecting<\/p>/)
        assert.match(html.replaceAll(/<!--.*?-->/g, ""), /<p>0 running<\/p>/)
      } finally {
        Object.assign(globalThis, saved)
      }
    })

    it(
      "the example takes over what a server has rendered, without a mismatch, and is live",
      () =>
        Effect.gen(function* () {
          const gateway = yield* startGateway()
          yield* gateway.says("busy")
          const html = yield* Effect.promise(() => render(gateway.url))
          const { complaints, page } = yield* opened(html, script)
          yield* reads(page, "connecting")
          yield* Effect.promise(() =>
            page.evaluate((url) => {
              const target = document.querySelector("#app")
              if (target) globalThis.page.hydrate(target, url)
            }, gateway.url)
          )
          yield* reads(page, "live")
          yield* reads(page, "agent-001: busy")
          yield* gateway.says("online")
          yield* reads(page, "agent-001: online")
          assert.deepStrictEqual(complaints, [])
        }).pipe(Effect.scoped, Effect.runPromise),
      PATIENCE
    )

    it(
      "an event renders what shows its key again, and nothing else",
      () =>
        Effect.gen(function* () {
          const gateway = yield* startGateway()
          const says = (agentId: string, status: string) =>
            gateway.publish({ eventType: "stratix:agent_status_update", payload: { agentId, status } })
          const runs = (commandId: string, agentId: string) =>
            gateway.publish({
              eventType: "stratix:command_status_update",
              payload: { commandId, agentId, commandStatus: "running" }
            })
          yield* says("a", "online")
          yield* says("b", "online")
          const { complaints, page } = yield* opened("", script)
          yield* Effect.promise(() =>
            page.evaluate((url) => {
              const target = document.querySelector("#app")
              if (target) globalThis.page.count(target, url)
            }, gateway.url)
          )
          yield* reads(page, "a: online")
          yield* reads(page, "b: online")
          yield* reads(page, "commands: 0")
          const before = yield* rendersOf(page)
          for (const status of ["busy", "error", "offline"]) {
            yield* says("a", status)
            yield* reads(page, `a: ${status}`)
          }
          // Of another agent: nothing that is shown. Then one that is.
          yield* runs("c1", "b")
          yield* runs("c2", "a")
          yield* reads(page, "commands: 1")
          const after = yield* rendersOf(page)
          assert.deepStrictEqual(after, {
            a: (before["a"] ?? 0) + 3,
            b: before["b"] ?? 0,
            commands: (before["commands"] ?? 0) + 1
          })
          assert.deepStrictEqual(complaints, [])
        }).pipe(Effect.scoped, Effect.runPromise),
      PATIENCE
    )
  })
}
