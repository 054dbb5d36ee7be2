import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, TestClock, Tracer } from "effect"
import * as Filter from "../../../src/stratix-gateway/log/Filter.js"
import { until } from "../../support/waiting.js"
import { aFewTurns, answer, entry, over, world } from "./scriptedLog.js"

describe("steps that are remembered", () => {
  /** Each step with an event of so many bytes. */
  const counted = (bytes = 0) =>
    Effect.map(
      world(() =>
        Effect.succeed(
          answer("resume", "h5", false, bytes === 0 ? {} : { entries: [entry(JSON.stringify("x".repeat(bytes)))] })
        )
      ),
      ({ asked, catchUps, client, ...rest }) => {
        /** How often the log is asked for one that comes with this cursor. */
        const asks = (cursor: string, options: Parameters<typeof client>[0] = {}, conflateFrom?: string) =>
          Effect.gen(function* () {
            const before = asked.length
            const { announced, subscriber } = client(options)
            subscriber.conflateFrom = conflateFrom
            catchUps.begin(subscriber, cursor)
            yield* until(() => subscriber.state === "live")
            assert.strictEqual(announced().length, 1)
            return asked.length - before
          })
        return { ...rest, asks, catchUps }
      }
    )

  it.effect(
    "serve all that come with the same filter and cursor, conflated from the same place, to the same head",
    () =>
      Effect.gen(function* () {
        const { asks, at, catchUps } = yield* counted()
        assert.strictEqual(yield* asks("h1"), 1)
        assert.strictEqual(yield* asks("h1"), 0)
        assert.strictEqual(yield* asks("h2"), 1)
        assert.strictEqual(yield* asks("h1", { filter: Filter.fromFields({ agents: ["a"] }) }), 1)
        assert.strictEqual(yield* asks("h3", {}, "h1"), 1)
        assert.strictEqual(yield* asks("h3", {}, "h2"), 1)
        assert.strictEqual(yield* asks("h3", {}, "h2"), 0)
        catchUps.forget()
        assert.strictEqual(yield* asks("h1"), 1)
        assert.strictEqual(at.head, "h5")
      }).pipe(over())
  )

  it.effect("are asked for once by those who come in the same turn", () =>
    Effect.gen(function* () {
      const { asked, catchUps, client } = yield* world(() => Effect.succeed(answer("resume", "h5", false)))
      const all = Array.from({ length: 4 }, () => client())
      for (const { subscriber } of all) catchUps.begin(subscriber, "h1")
      yield* until(() => all.every(({ subscriber }) => subscriber.state === "live"))
      assert.strictEqual(asked.length, 1)
    }).pipe(over())
  )

  it.effect("of a snapshot serve those who came at the same head", () =>
    Effect.gen(function* () {
      const { asked, at, catchUps, client } = yield* world((cursor, { until: target }) =>
        Effect.succeed(answer("snapshot", cursor === undefined ? "h3" : (target ?? ""), cursor === undefined))
      )
      const asks = () =>
        Effect.gen(function* () {
          const before = asked.length
          const { subscriber } = client()
          catchUps.begin(subscriber, undefined)
          yield* until(() => subscriber.state === "live")
          return asked.length - before
        })
      assert.deepStrictEqual([yield* asks(), yield* asks()], [2, 0])
      at.head = "h6"
      assert.strictEqual(yield* asks(), 2)
    }).pipe(over())
  )

  it.effect("that cannot be given are taken again, a few times", () =>
    Effect.gen(function* () {
      const { asked, catchUps, client, faults } = yield* world(() => Effect.succeed(answer("resume", "h5", false)))
      const first = client()
      catchUps.begin(first.subscriber, "h1")
      yield* until(() => first.subscriber.state === "live")
      const second = client()
      const defect = new Error("a fault")
      Object.defineProperty(second.subscriber, "conflateFrom", {
        get: () => {
          throw defect
        }
      })
      catchUps.begin(second.subscriber, "h1")
      yield* until(() => second.ended.length > 0)
      assert.deepStrictEqual([second.ended, faults], [["1013 catch-up failed"], [defect, defect, defect]])
      assert.strictEqual(asked.length, 1)
    }).pipe(over())
  )

  it.effect("are forgotten after half a second where they end at the head", () =>
    Effect.gen(function* () {
      const { asks } = yield* counted()
      assert.strictEqual(yield* asks("h1"), 1)
      yield* TestClock.adjust("499 millis")
      assert.strictEqual(yield* asks("h1"), 0)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* asks("h1"), 1)
      yield* TestClock.adjust("50 millis")
      assert.strictEqual(yield* asks("h1"), 0)
    }).pipe(over())
  )

  it.effect("are of use for 10 s where others follow, wherever the head is by then", () =>
    Effect.gen(function* () {
      const { asked, at, catchUps, client } = yield* world((cursor, { until: target }) =>
        Effect.succeed(cursor === "h1" ? answer("resume", "h3", true) : answer("resume", target ?? "", false))
      )
      const cursors = (begun: string) =>
        Effect.gen(function* () {
          const before = asked.length
          const { subscriber } = client()
          catchUps.begin(subscriber, begun)
          yield* until(() => subscriber.state === "live")
          return asked.slice(before).map(([cursor]) => cursor)
        })
      assert.deepStrictEqual(yield* cursors("h1"), ["h1", "h3"])
      at.head = "h7"
      yield* TestClock.adjust("9999 millis")
      assert.deepStrictEqual(yield* cursors("h1"), ["h3"])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* cursors("h1"), ["h1"])
    }).pipe(over())
  )

  it.effect("end at the head no more once that has moved", () =>
    Effect.gen(function* () {
      const { asked, at, catchUps, client } = yield* world((_, { until: target }) =>
        Effect.succeed(answer("conflated", target ?? "", false))
      )
      const conflating = () => {
        const { announced, subscriber } = client()
        Object.assign(subscriber, { joined: true, target: "h5", conflateFrom: "h1" })
        catchUps.resume(subscriber, "h2")
        return until(() => subscriber.state === "live").pipe(Effect.map(announced))
      }
      assert.strictEqual((yield* conflating()).length, 1)
      at.head = "h6"
      const told = yield* conflating()
      assert.deepStrictEqual(
        told.map(({ more, to }) => [to, more]),
        [
          ["h5", true],
          ["h6", undefined]
        ]
      )
      assert.strictEqual(asked.length, 3)
    }).pipe(over())
  )

  it.effect("are 16 MiB, of which the one made first leaves", () =>
    Effect.gen(function* () {
      const { asks } = yield* counted(2 * 1024 * 1024 - 4096)
      assert.strictEqual(yield* asks("c0"), 1)
      yield* TestClock.adjust("250 millis")
      for (let i = 1; i < 8; i++) assert.strictEqual(yield* asks(`c${i}`), 1)
      assert.strictEqual(yield* asks("c0"), 0)
      yield* TestClock.adjust("250 millis")
      // Made anew, it is the youngest.
      assert.strictEqual(yield* asks("c0"), 1)
      assert.strictEqual(yield* asks("c8"), 1)
      assert.strictEqual(yield* asks("c0"), 0)
      for (let i = 9; i < 15; i++) assert.strictEqual(yield* asks(`c${i}`), 1)
      assert.strictEqual(yield* asks("c0"), 0)
      assert.strictEqual(yield* asks("c15"), 1)
      assert.strictEqual(yield* asks("c0"), 1)
    }).pipe(over())
  )

  it.effect("serve those who come a moment later, though no client is behind meanwhile", () =>
    Effect.gen(function* () {
      const { asks, subscribers, waiting } = yield* counted()
      assert.strictEqual(yield* asks("h1"), 1)
      subscribers.remove(waiting.subscriber)
      yield* aFewTurns
      assert.strictEqual(yield* asks("h1"), 0)
      yield* TestClock.adjust("500 millis")
      assert.strictEqual(yield* asks("h1"), 1)
    }).pipe(over())
  )
})

describe("the turns of the event loop", () => {
  it.effect("are for four steps where the log does not answer at once, and the others wait for these", () =>
    Effect.gen(function* () {
      const answers = Effect.unsafeMakeLatch(false)
      const { asked, catchUps, client } = yield* world(() => Effect.as(answers.await, answer("resume", "h5", false)))
      const all = Array.from({ length: 10 }, () => client())
      all.forEach(({ subscriber }, i) => {
        catchUps.begin(subscriber, `c${i}`)
      })
      yield* until(() => asked.length > 0)
      yield* aFewTurns
      assert.strictEqual(asked.length, 4)
      yield* answers.open
      yield* until(() => all.every(({ subscriber }) => subscriber.state === "live"))
      assert.strictEqual(asked.length, all.length)
    }).pipe(over())
  )

  /** How many steps are taken in the first turn, each with an event of so many bytes. */
  const inOneTurn = (clients: number, bytes: number) =>
    Effect.gen(function* () {
      let turn = 0
      const turns: Array<number> = []
      const { catchUps, client } = yield* world(() =>
        Effect.sync(() => {
          turns.push(turn)
          // Before the next step of this kind, if that is in another turn.
          setImmediate(() => {
            turn = turns.length
          })
          return answer("resume", "h5", false, { entries: [entry("x".repeat(bytes))] })
        })
      )
      const all = Array.from({ length: clients }, () => client({ sync: false }))
      all.forEach(({ subscriber }, i) => {
        catchUps.begin(subscriber, `c${i}`)
      })
      yield* until(() => all.every(({ subscriber }) => subscriber.state === "live"))
      assert.strictEqual(turns.length, clients)
      return turns.filter((taken) => taken === turns[0]).length
    })

  it.effect("are shared with others after sixteen steps, or after a megabyte", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* inOneTurn(40, 1), 16)
      // Its frame has a header of ten bytes.
      assert.strictEqual(yield* inOneTurn(40, 256 * 1024 - 10), 4)
      assert.strictEqual(yield* inOneTurn(40, 256 * 1024 - 11), 8)
      assert.strictEqual(yield* inOneTurn(3, 1), 3)
    }).pipe(over())
  )
})

describe("the span of a catch-up", () => {
  it.effect("begins with the first step and ends at the head, with what was lost", () =>
    Effect.gen(function* () {
      const spans: Array<Tracer.Span> = []
      const ends: Array<Tracer.Span> = []
      const tracer = Tracer.make({
        context: (f) => f(),
        span: (name, parent, context, links, startTime, kind, options) => {
          const attributes = new Map<string, unknown>()
          const span: Tracer.Span = {
            _tag: "Span",
            name,
            spanId: String(spans.length),
            traceId: "t",
            parent,
            context,
            status: { _tag: "Started", startTime },
            attributes,
            links,
            sampled: true,
            kind,
            end: () => {
              ends.push(span)
            },
            attribute: (key, value) => {
              attributes.set(key, value)
            },
            event: () => {},
            addLinks: () => {}
          }
          assert.deepStrictEqual([parent, links, options?.root], [Option.none(), [], true])
          spans.push(span)
          return span
        }
      })
      const answers = [answer("resume", "h2", false), answer("conflated", "h5", false, { lost: 7 })]
      const { catchUps, client } = yield* world(() =>
        Effect.succeed(answers.shift() ?? answer("resume", "h5", false))
      ).pipe(Effect.withTracer(tracer))
      const { subscriber } = client()
      catchUps.begin(subscriber, "h1")
      yield* until(() => subscriber.state === "live")
      const mine = () => spans.filter(({ name }) => name.includes("catch"))
      assert.strictEqual(mine().length, 1)
      assert.deepStrictEqual(ends, mine())
      assert.deepStrictEqual([...(mine()[0]?.attributes ?? [])].sort(), [
        ["client.address", "127.0.0.1"],
        ["stratix.live", true],
        ["stratix.lost", 7],
        ["stratix.mode", "conflated"]
      ])
      const another = client({ unsent: 2000 })
      catchUps.begin(another.subscriber, "h1")
      yield* until(() => another.subscriber.state === "stalled")
      assert.deepStrictEqual([mine().length, ends.length], [2, 1])
      catchUps.abandon(another.subscriber)
      catchUps.abandon(another.subscriber)
      assert.deepStrictEqual([ends.length, ends[1]?.attributes.get("stratix.live")], [2, false])
    }).pipe(over())
  )
})
