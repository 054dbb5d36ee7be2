import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { StatusSync } from "../../../src/stratix-gateway/index.js"
import { TestClients } from "../../../src/stratix-testing/index.js"

/** A client that an attack on others must not touch: it gets what is published about it, at once and exactly. */
export const bystander = Effect.gen(function* () {
  const sync = yield* StatusSync.StatusSync
  const client = yield* TestClients.connect({ query: "agents=bystander", protocols: ["stratix.sync.v1"] })
  yield* client.takeN(2)
  return {
    isServed: Effect.gen(function* () {
      for (let n = 0; n < 10; n++) {
        const status = n % 2 === 0 ? "busy" : "online"
        yield* sync.notifyAgentStatus("bystander", status)
        // On a busy machine the first event may come before its catch-up has ended, and is announced by another `stratix:sync`.
        const { eventType, payload } = yield* Effect.repeat(client.take, {
          until: (message) => message.eventType !== "stratix:heartbeat" && message.eventType !== "stratix:sync"
        })
        assert.deepStrictEqual([eventType, payload], ["stratix:agent_status_update", { agentId: "bystander", status }])
      }
    }),
    leave: Effect.zipRight(client.close(), client.closed)
  }
})
