/** The pages about what an author adds: their code stands in examples, which are run here and in the tests beside. */
import { readFile } from "node:fs/promises"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { StatusSync, StatusSyncConfig } from "stratix-status-sync"
import { TestClients, TestClientsWs } from "stratix-status-sync/testing"
import { Alarm, gateway, Zone } from "../../examples/events.js"

const read = (path: string) => readFile(new URL(`../../${path}`, import.meta.url), "utf8")

const pages = {
  "docs/events.md": ["examples/events.ts", "examples/events-page.ts"],
  "docs/seams.md": ["examples/own-log.ts", "examples/own-authenticator.ts", "test/docs/seams.own-log.test.ts"]
}

for (const [path, sources] of Object.entries(pages)) {
  describe(path, () => {
    it("shows no code but what is run", async () => {
      const code = (await Promise.all(sources.map(read))).join("\n")
      const blocks = [...(await read(path)).matchAll(/```ts\n(.+?)```/gs)].map(([, block]) => block ?? "")
      assert.isAbove(blocks.length, 3)
      for (const block of blocks) assert.include(code, block)
    })

    it("links only to files that are there", async () => {
      const missing: Array<string> = []
      for (const [, link = ""] of (await read(path)).matchAll(/\]\((?!https?:|#)([^)#]+)[^)]*\)/g)) {
        await read(`docs/${link}`).catch(() => missing.push(link))
      }
      assert.deepStrictEqual(missing, [])
    })
  })
}

it.scopedLive("examples/events.ts: its gateway shows a late joiner the state, and then what happens", () =>
  Effect.gen(function* () {
    const context = yield* Layer.build(
      TestClientsWs.layer.pipe(Layer.provideMerge(gateway(0)), Layer.provide(StatusSyncConfig.layer({})))
    )
    const { connect } = Context.get(context, TestClients.TestClients)
    const sync = Context.get(context, StatusSync.StatusSync)
    const late = yield* connect({ query: "snapshot=true" })
    const [, ...state] = yield* late.takeN(3)
    assert.deepStrictEqual(
      state.map(({ payload }) => payload),
      [
        { zoneId: "z1", load: 0.5 },
        { agentId: "agent-001", status: "busy", title: "Scout", data: { tasks: 2 } }
      ]
    )
    yield* sync.publish(Alarm, { zoneId: "z1", at: new Date(0) })
    yield* sync.remove(Zone, "z1")
    assert.deepStrictEqual(
      (yield* late.takeN(2)).map(({ eventType, payload }) => ({ eventType, payload })),
      [
        { eventType: Alarm.eventType, payload: { zoneId: "z1", at: "1970-01-01T00:00:00.000Z" } },
        { eventType: "stratix:key_remove", payload: { eventType: Zone.eventType, key: "z1" } }
      ]
    )
  }).pipe(Effect.orDie)
)
