import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { EventLog, StatusSync } from "../../../src/stratix-gateway/index.js"
import { StatusSyncTest, TestClients } from "../../../src/stratix-testing/index.js"
import { agentsOf, withTokens } from "../support/authentication.js"
import { bearer, secretOf, token } from "../support/gateway.js"

const sync = { protocols: ["stratix.sync.v1"] }

describe("what a principal may see", () => {
  const narrow = withTokens([
    token("narrow", ["subscribe"], { visible: { agents: ["mine"], events: ["agent_status_update"] } }),
    token("wide", ["subscribe"])
  ])
  const publish = Effect.gen(function* () {
    const { notifyAgentCreate, notifyAgentStatus } = yield* StatusSync.StatusSync
    yield* notifyAgentStatus("mine", "busy")
    yield* notifyAgentStatus("theirs", "busy")
    yield* notifyAgentCreate("mine", "Mine", "worker")
    yield* StatusSyncTest.settled
  })

  it.effect("is all a live connection gets", () =>
    Effect.gen(function* () {
      const client = yield* TestClients.connect(bearer(secretOf("narrow")))
      const all = yield* TestClients.connect(bearer(secretOf("wide")))
      yield* publish
      assert.deepStrictEqual(agentsOf(yield* client.received), ["mine"])
      assert.deepStrictEqual(agentsOf(yield* all.received), ["mine", "theirs", "mine"])
    }).pipe(Effect.provide(narrow))
  )

  it.effect("is not widened by the query string, by subscribe, by a snapshot or by a resume", () =>
    Effect.gen(function* () {
      const { head } = yield* EventLog.EventLog
      const start = head().offset
      yield* publish
      const asked = [
        { query: "agents=theirs,mine&snapshot=true" },
        { query: "snapshot=true" },
        sync,
        { ...sync, query: `since=${encodeURIComponent(start)}` },
        { ...sync, query: `since=${encodeURIComponent(start)}&agents=theirs` }
      ]
      for (const options of asked) {
        const client = yield* TestClients.connect({ ...options, ...bearer(secretOf("narrow")) })
        yield* client.send({ type: "subscribe", agents: ["theirs", "mine"] })
        yield* client.send({ type: "subscribe" })
        yield* publish
        for (const seen of agentsOf(yield* client.received)) assert.strictEqual(seen, "mine", JSON.stringify(options))
        const told = (yield* client.received).filter(({ eventType }) => eventType === "stratix:subscribed")
        assert.deepStrictEqual(
          told.map(({ payload }) => payload),
          [
            { events: ["stratix:agent_status_update"], agents: ["mine"] },
            { events: ["stratix:agent_status_update"], agents: ["mine"] }
          ]
        )
        assert.isFalse((yield* client.received).some(({ eventType }) => eventType === "stratix:agent_create"))
      }
    }).pipe(Effect.provide(narrow))
  )

  it.effect("and nothing, where what is asked for and what may be seen have nothing in common", () =>
    Effect.gen(function* () {
      const client = yield* TestClients.connect({ ...sync, ...bearer(secretOf("narrow")), query: "agents=theirs" })
      yield* publish
      assert.deepStrictEqual(agentsOf(yield* client.received), [])
    }).pipe(Effect.provide(narrow))
  )
})
