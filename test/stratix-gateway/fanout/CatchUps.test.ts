import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit } from "effect"
import { EventLog } from "../../../src/stratix-gateway/index.js"
import * as Filter from "../../../src/stratix-gateway/log/Filter.js"
import * as Form from "../../../src/stratix-gateway/transport/Form.js"
import { until } from "../../support/waiting.js"
import { aFewTurns, answer, entry, over, world } from "./scriptedLog.js"

describe("a catch-up", () => {
  it.effect("ends at the head of its beginning, in steps, and what came meanwhile is asked for exactly", () =>
    Effect.gen(function* () {
      const answers = [
        answer("snapshot", "h3", true, { entries: [entry("{}")], lost: 2 }),
        answer("snapshot", "h5", false, { entries: [entry("{}"), entry("{}")] }),
        answer("resume", "h7", false, { entries: [entry("{}")], lost: 1 })
      ]
      const { asked, at, catchUps, client } = yield* world(() =>
        Effect.sync(() => {
          at.head = "h7"
          return answers.shift() ?? answer("resume", "h7", false)
        })
      )
      const { announced, subscriber, written } = client()
      catchUps.begin(subscriber, undefined)
      assert.deepStrictEqual([subscriber.state, subscriber.queued], ["behind", true])
      yield* until(() => subscriber.state === "live")
      const common = { filter: Filter.all, maxBytes: 64 * 1024, neverSnapshot: false }
      assert.deepStrictEqual(asked, [
        [undefined, { ...common, until: "h5" }],
        ["h3", { ...common, until: "h5", conflateFrom: "h5" }],
        ["h5", { ...common, until: "h7" }]
      ])
      assert.deepStrictEqual(announced(), [
        { mode: "snapshot", to: "h3", count: 1, lost: 2, more: true },
        { mode: "snapshot", to: "h5", count: 2, lost: 0, more: true },
        { mode: "resume", from: "h5", to: "h7", count: 1, lost: 1 }
      ])
      assert.deepStrictEqual(catchUps.counts, {
        begun: { snapshot: 1, resume: 0, conflated: 0 },
        conflations: 0,
        lost: 3,
        deliveries: 4,
        bytes: written.join("").length
      })
      assert.deepInclude(subscriber, {
        lost: 3,
        catchUps: 1,
        catchingUp: false,
        joined: true,
        target: undefined,
        conflateFrom: undefined
      })
    }).pipe(over())
  )

  it.effect("that is conflated stays so from the cursor that it began with", () =>
    Effect.gen(function* () {
      const answers = [
        answer("resume", "h2", false),
        answer("conflated", "h3", true, { lost: 1 }),
        answer("conflated", "h4", true),
        answer("conflated", "h5", false)
      ]
      const { asked, catchUps, client } = yield* world(() =>
        Effect.succeed(answers.shift() ?? answer("resume", "h5", false))
      )
      const { announced, subscriber } = client()
      subscriber.joined = true
      catchUps.resume(subscriber, "h1")
      yield* until(() => subscriber.state === "live")
      assert.deepStrictEqual(
        asked.map(([cursor, { conflateFrom, until: target }]) => [cursor, conflateFrom, target]),
        [
          ["h1", undefined, "h5"],
          ["h2", undefined, "h5"],
          ["h3", "h2", "h5"],
          ["h4", "h2", "h5"]
        ]
      )
      assert.deepStrictEqual(
        announced().map(({ from }) => from),
        ["h1", "h2", "h3", "h4"]
      )
      assert.deepInclude(catchUps.counts, { begun: { snapshot: 0, resume: 1, conflated: 1 }, conflations: 1 })
      assert.strictEqual(subscriber.catchUps, 2)
    }).pipe(over())
  )

  it.effect("that is exact goes on to where the head is by then, and begins no conflation", () =>
    Effect.gen(function* () {
      const answers = [answer("resume", "h2", true), answer("resume", "h7", false)]
      const { asked, at, catchUps, client } = yield* world(() =>
        Effect.sync(() => {
          at.head = "h7"
          return answers.shift() ?? answer("resume", "h7", false)
        })
      )
      const { subscriber } = client()
      catchUps.begin(subscriber, "h1")
      yield* until(() => subscriber.state === "live")
      assert.deepStrictEqual(
        asked.map(([cursor, { conflateFrom, until: target }]) => [cursor, conflateFrom, target]),
        [
          ["h1", undefined, "h5"],
          ["h2", undefined, "h7"]
        ]
      )
    }).pipe(over())
  )

  it.effect("from the head is over at once, unless a conflated one was under way", () =>
    Effect.gen(function* () {
      const { asked, catchUps, client } = yield* world(() => Effect.succeed(answer("conflated", "h5", false)))
      const [atHead, conflating, behind] = [client(), client(), client()]
      catchUps.resume(atHead.subscriber, "h5")
      assert.strictEqual(atHead.subscriber.state, "live")
      conflating.subscriber.conflateFrom = "h2"
      catchUps.resume(conflating.subscriber, "h5")
      catchUps.resume(behind.subscriber, "h4")
      yield* until(() => conflating.subscriber.state === "live" && behind.subscriber.state === "live")
      assert.deepStrictEqual(
        asked.map(([cursor]) => cursor),
        ["h5", "h4"]
      )
      assert.deepStrictEqual([atHead.written, atHead.subscriber.catchUps], [[], 0])
    }).pipe(over())
  )

  it.effect("of a plain client is no snapshot, and writes nothing where there is nothing to tell", () =>
    Effect.gen(function* () {
      const { asked, catchUps, client } = yield* world(() => Effect.succeed(answer("resume", "h5", false)))
      const { subscriber, written } = client({ sync: false })
      catchUps.begin(subscriber, "h4")
      yield* until(() => subscriber.state === "live")
      assert.strictEqual(asked[0]?.[1].neverSnapshot, true)
      assert.deepStrictEqual(written, [])
    }).pipe(over())
  )

  it.effect("takes a stream's last id away with a snapshot, and with nothing else", () =>
    Effect.gen(function* () {
      const { catchUps, client } = yield* world((cursor) =>
        Effect.succeed(answer(cursor === undefined ? "snapshot" : "resume", "h5", false))
      )
      const [anew, exact] = [client(), client()]
      catchUps.begin(anew.subscriber, undefined)
      catchUps.begin(exact.subscriber, "h4")
      yield* until(() => anew.subscriber.state === "live" && exact.subscriber.state === "live")
      const takesAway = ({ written }: typeof anew) => written.join("").includes("\nid:\n")
      assert.deepStrictEqual([anew, exact].map(takesAway), [true, false])
    }).pipe(over())
  )

  it.effect("is compressed for those who agreed to it", () =>
    Effect.gen(function* () {
      const { catchUps, client } = yield* world(() =>
        Effect.succeed(answer("resume", "h5", false, { entries: [entry(JSON.stringify("x".repeat(10_000)))] }))
      )
      const [deflated, frames] = [client({ form: Form.deflated, sync: false }), client({ sync: false })]
      for (const { subscriber } of [deflated, frames]) catchUps.begin(subscriber, "h4")
      yield* until(() => deflated.subscriber.state === "live" && frames.subscriber.state === "live")
      const bytes = ({ written }: typeof frames) => written.join("").length
      assert.isAbove(bytes(deflated), 0)
      assert.isBelow(bytes(deflated), 1000)
      assert.isAbove(bytes(frames), 10_000)
    }).pipe(over())
  )

  it.effect("waits for a place that is not known yet, and holds back no other", () =>
    Effect.gen(function* () {
      const arrival = yield* Deferred.make<void>()
      const { asked, catchUps, client } = yield* world(
        () => Effect.succeed(answer("resume", "h5", false)),
        (offset) => (offset === "h9" ? Deferred.await(arrival) : Exit.void)
      )
      const [early, other] = [client(), client()]
      catchUps.begin(early.subscriber, "h9")
      assert.deepInclude(early.subscriber, { state: "behind", cursor: "h9", queued: true })
      catchUps.begin(other.subscriber, "h4")
      yield* until(() => other.subscriber.state === "live")
      yield* aFewTurns
      assert.deepStrictEqual(
        asked.map(([cursor]) => cursor),
        ["h4"]
      )
      yield* Deferred.succeed(arrival, undefined)
      yield* until(() => early.subscriber.state === "live")
      assert.deepStrictEqual(
        asked.map(([cursor]) => cursor),
        ["h4", "h9"]
      )
    }).pipe(over())
  )

  it.effect("from no place waits for none", () =>
    Effect.gen(function* () {
      const { catchUps, client } = yield* world(
        () => Effect.succeed(answer("snapshot", "h5", false)),
        () => Effect.never
      )
      const { subscriber } = client()
      catchUps.begin(subscriber, undefined)
      yield* until(() => subscriber.state === "live")
    }).pipe(over())
  )

  it.effect("of one that left before its turn asks the log for nothing", () =>
    Effect.gen(function* () {
      const { asked, catchUps, client, subscribers } = yield* world(() => Effect.succeed(answer("resume", "h5", false)))
      const [gone, other] = [client(), client()]
      catchUps.begin(gone.subscriber, "h1")
      subscribers.remove(gone.subscriber)
      catchUps.begin(other.subscriber, "h2")
      yield* until(() => other.subscriber.state === "live")
      assert.deepStrictEqual(
        asked.map(([cursor]) => cursor),
        ["h2"]
      )
      assert.strictEqual(gone.subscriber.state, "gone")
    }).pipe(over())
  )

  /** A log whose first answer is held back. */
  const slowLog = Effect.gen(function* () {
    const held = yield* Deferred.make<EventLog.CatchUp>()
    let first = true
    const made = yield* world(() => {
      if (!first) return Effect.succeed(answer("resume", "h5", false))
      first = false
      return Deferred.await(held)
    })
    return { ...made, release: Deferred.succeed(held, answer("resume", "h5", false)) }
  })

  it.effect("of one that left while the log was asked gives it nothing", () =>
    Effect.gen(function* () {
      const { asked, catchUps, client, release, subscribers } = yield* slowLog
      const { subscriber, written } = client()
      catchUps.begin(subscriber, "h1")
      yield* until(() => asked.length === 1)
      subscribers.remove(subscriber)
      yield* release
      yield* aFewTurns
      assert.deepStrictEqual([written, subscriber.state], [[], "gone"])
    }).pipe(over())
  )

  it.effect("of one that took another filter while the log was asked gives it nothing of the old one", () =>
    Effect.gen(function* () {
      const { asked, catchUps, client, release, subscribers } = yield* slowLog
      const { announced, subscriber } = client()
      const other = Filter.fromFields({ agents: ["a"] })
      catchUps.begin(subscriber, "h1")
      yield* until(() => asked.length === 1)
      subscribers.move(subscriber, other)
      yield* release
      yield* until(() => subscriber.state === "live")
      assert.deepStrictEqual(
        asked.map(([, { filter }]) => filter),
        [Filter.all, other]
      )
      assert.strictEqual(announced().length, 1)
    }).pipe(over())
  )

  it.effect("of one that has another cursor since the log was asked gives it nothing of before", () =>
    Effect.gen(function* () {
      const { asked, catchUps, client, release } = yield* slowLog
      const { announced, subscriber } = client()
      catchUps.begin(subscriber, "h1")
      yield* until(() => asked.length === 1)
      subscriber.cursor = "h3"
      yield* release
      yield* until(() => subscriber.state === "live")
      assert.deepStrictEqual(
        asked.map(([cursor]) => cursor),
        ["h1", "h3"]
      )
      assert.deepStrictEqual(
        announced().map(({ from }) => from),
        ["h3"]
      )
    }).pipe(over())
  )

  it.effect("for which the log takes its time holds back none that is taken with it", () =>
    Effect.gen(function* () {
      const { catchUps, client, release } = yield* slowLog
      const [slow, other] = [client(), client()]
      catchUps.begin(slow.subscriber, "h1")
      catchUps.begin(other.subscriber, "h2")
      yield* until(() => other.subscriber.state === "live")
      assert.strictEqual(slow.subscriber.state, "behind")
      yield* release
      yield* until(() => slow.subscriber.state === "live")
    }).pipe(over())
  )

  it.effect("takes one step at a time, however often it is told to go on", () =>
    Effect.gen(function* () {
      const { asked, catchUps, client, release } = yield* slowLog
      const { announced, subscriber } = client()
      catchUps.begin(subscriber, "h1")
      catchUps.resume(subscriber, "h1")
      yield* until(() => asked.length > 0)
      yield* aFewTurns
      yield* release
      yield* until(() => subscriber.state === "live")
      assert.deepStrictEqual([asked.length, announced().length], [1, 1])
    }).pipe(over())
  )

  it.effect("of a client that does not read stalls above the high-water mark, not at it", () =>
    Effect.gen(function* () {
      const { catchUps, client } = yield* world(() => Effect.succeed(answer("resume", "h5", false)))
      const [above, exactly] = [client({ unsent: 1001 }), client({ unsent: 1000 })]
      for (const { subscriber } of [above, exactly]) catchUps.begin(subscriber, "h1")
      yield* until(() => exactly.subscriber.state === "live")
      assert.deepInclude(above.subscriber, { state: "stalled", cursor: "h5", catchingUp: true })
      catchUps.abandon(above.subscriber)
      assert.isFalse(above.subscriber.catchingUp)
    }).pipe(over())
  )

  it.effect("by policy ends the connection that fell behind the history, and no other", () =>
    Effect.gen(function* () {
      const { catchUps, client } = yield* world((cursor) =>
        Effect.succeed(answer(cursor === "h1" ? "conflated" : "resume", "h5", false))
      )
      const [slow, late, exact] = [client(), client(), client()]
      slow.subscriber.joined = true
      exact.subscriber.joined = true
      catchUps.begin(slow.subscriber, "h1")
      catchUps.begin(late.subscriber, "h1")
      catchUps.begin(exact.subscriber, "h2")
      yield* until(() => late.subscriber.state === "live" && exact.subscriber.state === "live")
      assert.deepStrictEqual(
        [slow, late, exact].map(({ ended }) => ended),
        [["1013 fell behind the history"], [], []]
      )
      assert.deepStrictEqual([slow.written, catchUps.counts.conflations], [[], 0])
    }).pipe(over({ slowPolicy: "close" }))
  )
})

describe("a step that fails", () => {
  it.effect("by a fault of the gateway's own is taken again twice, then the client is sent away", () =>
    Effect.gen(function* () {
      let faulty = 2
      const { asked, catchUps, client, faults } = yield* world(() =>
        faulty-- > 0 ? Effect.die(new Error("a fault")) : Effect.succeed(answer("resume", "h5", false))
      )
      const first = client()
      catchUps.begin(first.subscriber, "h1")
      yield* until(() => first.subscriber.state === "live")
      assert.deepStrictEqual([asked.length, faults.length, first.subscriber.faults], [3, 2, 0])
      faulty = Number.POSITIVE_INFINITY
      const second = client()
      catchUps.begin(second.subscriber, "h2")
      yield* until(() => second.ended.length > 0)
      assert.deepStrictEqual([second.ended, asked.length, faults.length], [["1013 catch-up failed"], 6, 5])
    }).pipe(over())
  )

  it.effect("after its client left is not taken again", () =>
    Effect.gen(function* () {
      const { asked, catchUps, client, faults, subscribers } = yield* world(() => {
        subscribers.remove(subscriber)
        return Effect.die(new Error("a fault"))
      })
      const { ended, subscriber } = client()
      catchUps.begin(subscriber, "h1")
      yield* until(() => faults.length > 0)
      yield* aFewTurns
      assert.deepStrictEqual([asked.length, ended, subscriber.state], [1, [], "gone"])
    }).pipe(over())
  )

  it.effect("because the log does not answer sends the client away", () =>
    Effect.gen(function* () {
      const { catchUps, client, faults } = yield* world(() => new EventLog.EventLogError({ reason: "Unavailable" }))
      const { ended, subscriber } = client()
      catchUps.begin(subscriber, "h1")
      yield* until(() => ended.length > 0)
      assert.deepStrictEqual([ended, faults], [["1013 catch-up failed"], []])
    }).pipe(over())
  )

  it.effect("in the socket ends the socket, because what it took is unknown", () =>
    Effect.gen(function* () {
      const { catchUps, client, faults } = yield* world(() => Effect.succeed(answer("resume", "h5", false)))
      const { ended, subscriber } = client({ unsent: -1 })
      catchUps.begin(subscriber, "h1")
      yield* until(() => ended.length > 0)
      assert.deepStrictEqual([ended, faults.length], [["terminated"], 1])
    }).pipe(over())
  )
})
