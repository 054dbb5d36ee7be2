import { readFile } from "node:fs/promises"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { NodeServer, StatusSync, StatusSyncConfig } from "stratix-status-sync"
import { TestClients, TestClientsWs } from "stratix-status-sync/testing"
import { gateway, narrow, sessions } from "../../examples/tenants.js"

const read = (path: string) => readFile(new URL(`../../${path}`, import.meta.url), "utf8")
const page = await read("docs/tenants.md")

const running = TestClientsWs.layer.pipe(Layer.provideMerge(gateway(0)), Layer.provideMerge(StatusSyncConfig.layer({})))

const [[adas = "", ada] = [], [graces = ""] = []] = sessions

const as = (session: string, query = "") => ({ query, headers: { cookie: `theme=dark; session=${session}` } })

describe("docs/tenants.md", () => {
  it("shows no code but what stands in the example, where it is run", async () => {
    const example = await read("examples/tenants.ts")
    const blocks = [...page.matchAll(/```ts\n(.+?)```/gs)].map(([, block]) => block ?? "")
    assert.lengthOf(blocks, 3)
    for (const block of blocks) assert.include(example, block)
  })

  it("links only to files that are there", async () => {
    const missing: Array<string> = []
    for (const [, link = ""] of page.matchAll(/\]\((?!https?:|#)([^)#]+)[^)]*\)/g)) {
      await read(`docs/${link}`).catch(() => missing.push(link))
    }
    assert.deepStrictEqual(missing, [])
  })

  it.scopedLive("its gateway shows each session its tenant, refuses what it says, and narrows an open dashboard", () =>
    Effect.gen(function* () {
      const context = yield* Layer.build(running)
      const { connect } = Context.get(context, TestClients.TestClients)
      const sync = Context.get(context, StatusSync.StatusSync)
      assert.isTrue(Context.get(context, NodeServer.NodeServer).listening)

      const refused = (options: TestClients.ConnectOptions) =>
        Effect.map(Effect.flip(connect(options)), ({ status }) => status)
      assert.strictEqual(yield* refused({}), 401)
      assert.strictEqual(yield* refused(as(adas, "tenant=globex")), 403)
      assert.strictEqual(yield* refused(as(graces)), 403)
      assert.strictEqual(yield* refused(as(graces, "tenant=acme&tenant=globex")), 400)

      const sees = Effect.fnUntraced(function* (client: TestClients.TestClient, text: string) {
        while (!JSON.stringify(yield* client.take).includes(text)) {}
        return JSON.stringify(yield* client.raw)
      })
      const acme = yield* connect({ ...as(adas, "snapshot=true") })
      const globex = yield* connect(as(graces, "tenant=globex&snapshot=true"))
      yield* sync.forTenant("acme").notifyCommandStatus("cmd-1", "scout", "success", 100, "of acme")
      yield* sync.forTenant("globex").notifyCommandStatus("cmd-1", "scout", "success", 100, "of globex")
      assert.notInclude(yield* sees(acme, "of acme"), "of globex")
      assert.notInclude(yield* sees(globex, "of globex"), "of acme")

      yield* sync.forTenant("acme").notifyAgentStatus("later", "busy")
      yield* sees(acme, "later")
      assert.isDefined(ada)
      if (ada !== undefined) yield* narrow(ada)
      yield* sees(acme, "agent_remove")
      yield* sync.forTenant("acme").notifyAgentStatus("later", "online", { reason: "hidden" })
      yield* sync.forTenant("acme").notifyAgentStatus("scout", "online", { reason: "shown" })
      assert.notInclude(yield* sees(acme, "shown"), "hidden")
      assert.isTrue(yield* acme.isOpen)
    }).pipe(Effect.orDie)
  )
})
