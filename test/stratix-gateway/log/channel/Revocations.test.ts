import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Queue } from "effect"
import * as Channel from "../../../../src/stratix-gateway/channel/Channel.js"
import { Link } from "../../../../src/stratix-gateway/channel/Link.js"
import { EventLog, EventLogMemory, StatusSyncConfig } from "../../../../src/stratix-gateway/index.js"
import * as Revocations from "../../../../src/stratix-gateway/log/channel/Revocations.js"

describe("revocations among workers", () => {
  it.effect("what one revokes the others hear, and one that starts later as well", () =>
    Effect.gen(function* () {
      const log = yield* EventLog.EventLog
      const add = yield* Revocations.relay(log, (effect) => Effect.runFork(effect))
      const worker = () => {
        const [theirs, ours] = Channel.memory()
        const [link, own] = [new Link(theirs), new Link(ours)]
        add(link)
        link.open()
        const made = Revocations.make(own)
        own.open()
        return made
      }
      const [one, two] = [worker(), worker()]
      const heard = yield* two.subscribe
      yield* one.share({ name: "robot", at: 5 })
      assert.deepStrictEqual(yield* Queue.take(heard), { name: "robot", at: 5 })
      // Older than what is known.
      yield* one.share({ name: "robot", at: 4 })
      yield* one.share({ name: "other", at: 6 })
      assert.deepStrictEqual(yield* Queue.take(heard), { name: "other", at: 6 })
      const late = worker()
      yield* late.share({ name: "third", at: 7 })
      const known = yield* Queue.takeAll(yield* late.subscribe)
      assert.deepStrictEqual(
        [...known].map(({ name }) => name),
        ["robot", "other", "third"]
      )
    }).pipe(Effect.scoped, Effect.provide(Layer.provide(EventLogMemory.layer, StatusSyncConfig.layer())))
  )
})
