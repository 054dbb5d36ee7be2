import { assert, describe, it } from "@effect/vitest"
import { Effect, Metric } from "effect"
import { Metrics } from "../../../../src/stratix-gateway/internals.js"
import { until } from "../../../support/waiting.js"
import { over } from "../scriptedLog.js"
import { agents, note, world } from "./sockets.js"

/** How many there have been. */
const faults = Effect.map(Metric.value(Metrics.fanoutFaults), ({ count }) => count)

describe("a fault in a flush", () => {
  it.effect("of the log leaves everybody caught up, and the fan-out at work", () =>
    Effect.gen(function* () {
      let faulty = true
      const { client, broadcast, publish } = yield* world(({ tail }) => ({
        tail: (index) => {
          if (!faulty) return tail(index)
          faulty = false
          throw new Error("a fault")
        }
      }))
      const { numbers, subscriber } = client()
      const before = yield* faults
      yield* publish(note(1))
      broadcast.flushNow()
      assert.deepStrictEqual([subscriber.state, (yield* faults) - before], ["behind", 1])
      yield* until(() => subscriber.state === "live")
      yield* publish(note(2))
      yield* until(() => numbers().length === 2)
      assert.deepStrictEqual(numbers(), [1, 2])
    }).pipe(over())
  )

  it.effect("that ends it before it begins is over with it", () =>
    Effect.gen(function* () {
      let faulty = false
      const { client, publish } = yield* world(({ head }) => ({
        head: () => {
          if (!faulty) return head()
          faulty = false
          throw new Error("a fault")
        }
      }))
      const { numbers } = client()
      faulty = true
      yield* publish(note(1))
      yield* until(() => !faulty)
      yield* publish(note(2))
      yield* until(() => numbers().length === 2)
    }).pipe(over())
  )

  it.effect("where an event is matched gives everybody everything, once", () =>
    Effect.gen(function* () {
      let faulty = false
      const { broadcast, client, publish } = yield* world(({ tail }) => ({
        tail: (index) =>
          tail(index)?.map((entry, i) =>
            faulty && i === 1
              ? {
                  ...entry,
                  get departure(): undefined {
                    throw new Error("a fault")
                  }
                }
              : entry
          )
      }))
      const { numbers, subscriber } = client()
      const other = client({ filter: agents("a") })
      faulty = true
      yield* publish(note(1), note(2), note(3, { agentId: "a" }))
      broadcast.flushNow()
      faulty = false
      assert.deepStrictEqual([numbers(), subscriber.state, other.subscriber.state], [[], "behind", "behind"])
      assert.strictEqual(broadcast.stats().flushes, 0)
      yield* until(() => subscriber.state === "live" && other.subscriber.state === "live")
      yield* publish(note(4))
      broadcast.flushNow()
      assert.deepStrictEqual([numbers(), other.numbers()], [[1, 2, 3, 4], [3]])
    }).pipe(over())
  )

  it.effect("where a group's bytes are made concerns this group alone", () =>
    Effect.gen(function* () {
      const { broadcast, client, publish } = yield* world()
      const [broken, other] = [client(), client({ filter: agents("a") })]
      const { group } = broken.subscriber
      const { encode } = group
      let faulty = true
      Object.assign(group, {
        encode: (...parts: Parameters<typeof encode>) => {
          if (!faulty) return encode(...parts)
          faulty = false
          throw new Error("a fault")
        }
      })
      yield* publish(note(1, { agentId: "a" }))
      broadcast.flushNow()
      assert.deepStrictEqual([broken.subscriber.state, other.numbers()], ["behind", [1]])
      yield* until(() => broken.subscriber.state === "live")
      assert.deepStrictEqual(broken.numbers(), [1])
      assert.strictEqual(broadcast.stats().flushes, 1)
    }).pipe(over())
  )

  it.effect("of a socket ends this socket alone; three of them are failing", () =>
    Effect.gen(function* () {
      const { broadcast, client, publish } = yield* world()
      const all = [client(), client(), client()]
      const [, broken] = all
      if (broken !== undefined)
        broken.socket.onWrite = () => {
          throw new Error("a fault")
        }
      for (const n of [1, 2, 3]) {
        assert.isFalse(broadcast.isFailing())
        yield* publish(note(n))
        broadcast.flushNow()
      }
      assert.deepStrictEqual(
        all.map(({ ended }) => ended.length),
        [0, 3, 0]
      )
      assert.deepStrictEqual(
        all.map(({ numbers }) => numbers()),
        [[1, 2, 3], [], [1, 2, 3]]
      )
      assert.strictEqual(broken?.ended[0], "terminated")
      assert.isTrue(broadcast.isFailing())
    }).pipe(over())
  )
})
