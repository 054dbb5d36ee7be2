import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Layer, Logger, Option, type Scope, TestClock, Tracer } from "effect"
import * as CatchUps from "../../../src/stratix-gateway/fanout/CatchUps.js"
import { type Subscriber, Subscribers } from "../../../src/stratix-gateway/fanout/Subscribers.js"
import { EventLog, EventLogMemory, StatusSyncConfig } from "../../../src/stratix-gateway/index.js"
import * as Filter from "../../../src/stratix-gateway/log/Filter.js"
import * as Stamps from "../../../src/stratix-gateway/log/Stamps.js"
import * as TimeoutQueues from "../../../src/stratix-gateway/runtime/TimeoutQueues.js"
import * as Form from "../../../src/stratix-gateway/transport/Form.js"
import { nextTurn, until } from "../../support/waiting.js"

type Since = (
  cursor: string | undefined,
  options: EventLog.SinceOptions
) => Effect.Effect<EventLog.CatchUp, EventLog.EventLogError>

const answer = (
  mode: EventLog.CatchUp["mode"],
  to: string,
  more: boolean,
  rest: Partial<EventLog.CatchUp> = {}
): EventLog.CatchUp => ({ mode, to, more, entries: [], lost: 0, ...rest })

const entry = (json: string): EventLog.LogEntry => ({
  tenant: "default",
  eventType: "stratix:x",
  agentId: undefined,
  commandId: undefined,
  key: undefined,
  own: undefined,
  removes: [],
  status: undefined,
  finished: false,
  lease: undefined,
  stamp: { timestamp: 0, requestId: "r" },
  json,
  offset: "h1",
  index: 1,
  departure: undefined
})

/** Catch-ups over a log that answers what the test says. */
const world = (since: Since, reached: (offset: string) => Effect.Effect<void> = () => Exit.void) =>
  Effect.gen(function* () {
    const log = yield* EventLog.EventLog
    const queue = () =>
      new TimeoutQueues.TimeoutQueue<Subscriber>(
        1000,
        () => {},
        () => 0,
        () => {}
      )
    const subscribers = new Subscribers(queue(), queue(), 1000)
    const asked: Array<readonly [string | undefined, EventLog.SinceOptions]> = []
    const faults: Array<unknown> = []
    const at = { head: "h5" }
    const catchUps = yield* CatchUps.make(subscribers, () => at.head, {
      record: (defect) => faults.push(defect),
      isFailing: () => false
    }).pipe(
      Effect.provideService(EventLog.EventLog, {
        ...log,
        reached,
        since: (cursor, options = {}) => {
          asked.push([cursor, options])
          return since(cursor, options)
        }
      })
    )
    const client = ({ filter = Filter.all, sync = true, unsent = 0 } = {}) => {
      const ended: Array<string> = []
      const written: Array<string> = []
      const subscriber = subscribers.add(
        {
          remoteAddress: "127.0.0.1",
          form: sync ? Form.stream : Form.frames,
          writes: () => written.length,
          write: (bytes) => {
            if (unsent < 0) throw new Error("no socket")
            written.push(Buffer.from(bytes).toString())
            return unsent
          },
          ping: () => {},
          unsentBytes: () => 0,
          end: (code, reason) => ended.push(`${code} ${reason}`),
          terminate: () => ended.push("terminated")
        },
        filter,
        sync
      )
      /** Payloads of the `stratix:sync` messages. */
      const announced = () =>
        written
          .join("")
          .split("\n")
          .filter((line) => line.startsWith("data: ") && line.includes('"stratix:sync"'))
          .map((line) => JSON.parse(line.slice("data: ".length)).payload)
      return { subscriber, ended, written, announced }
    }
    /** Keeps what is remembered: steps are forgotten when no client is behind. */
    const waiting = client({ filter: Filter.none })
    return { asked, at, catchUps, client, faults, subscribers, waiting }
  })

const aFewTurns = Effect.repeatN(nextTurn, 4)

const over =
  (settings: Partial<StatusSyncConfig.Settings> = {}) =>
  <A, E>(
    effect: Effect.Effect<A, E, EventLog.EventLog | Stamps.Stamps | StatusSyncConfig.StatusSyncConfig | Scope.Scope>
  ) =>
    Effect.scoped(effect).pipe(
      Effect.provide(
        EventLogMemory.layer.pipe(Layer.merge(Stamps.layer), Layer.provideMerge(StatusSyncConfig.layer(settings)))
      ),
      Effect.provide(Logger.remove(Logger.defaultLogger))
    )

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
          catchUps.headMoved()
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

  it.effect("of one that left or took another filter meanwhile gives it nothing of the old one", () =>
    Effect.gen(function* () {
      const { catchUps, client, subscribers, asked } = yield* world((_, { filter }) =>
        Effect.sync(() => {
          if (filter === Filter.all) {
            subscribers.remove(gone.subscriber)
            subscribers.move(moved.subscriber, other)
          }
          return answer("resume", "h5", false)
        })
      )
      const other = Filter.fromFields({ agents: ["a"] })
      const [gone, moved] = [client(), client()]
      catchUps.begin(gone.subscriber, "h1")
      catchUps.begin(moved.subscriber, "h1")
      yield* until(() => moved.subscriber.state === "live")
      assert.deepStrictEqual(gone.written, [])
      assert.strictEqual(moved.announced().length, 1)
      assert.strictEqual(asked.at(-1)?.[1].filter, other)
      assert.strictEqual(gone.subscriber.state, "gone")
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

describe("steps that are remembered", () => {
  const counted = Effect.map(
    world(() => Effect.succeed(answer("resume", "h5", false))),
    ({ asked, catchUps, client, ...rest }) => {
      /** How often the log is asked for one that comes with this cursor. */
      const asks = (cursor: string, options: Parameters<typeof client>[0] = {}) =>
        Effect.gen(function* () {
          const before = asked.length
          const { announced, subscriber } = client(options)
          catchUps.begin(subscriber, cursor)
          yield* until(() => subscriber.state === "live")
          assert.strictEqual(announced().length, 1)
          return asked.length - before
        })
      return { ...rest, asks, catchUps }
    }
  )

  it.effect("serve all that come with the same filter and cursor to the same head", () =>
    Effect.gen(function* () {
      const { asks, at, catchUps } = yield* counted
      assert.strictEqual(yield* asks("h1"), 1)
      assert.strictEqual(yield* asks("h1"), 0)
      assert.strictEqual(yield* asks("h2"), 1)
      assert.strictEqual(yield* asks("h1", { filter: Filter.fromFields({ agents: ["a"] }) }), 1)
      catchUps.headMoved()
      assert.strictEqual(yield* asks("h1"), 1)
      assert.strictEqual(at.head, "h5")
    }).pipe(over())
  )

  it.effect("are forgotten after half a second", () =>
    Effect.gen(function* () {
      const { asks } = yield* counted
      assert.strictEqual(yield* asks("h1"), 1)
      yield* TestClock.adjust("500 millis")
      assert.strictEqual(yield* asks("h1"), 0)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* asks("h1"), 1)
      yield* TestClock.adjust("50 millis")
      assert.strictEqual(yield* asks("h1"), 0)
    }).pipe(over())
  )

  it.effect("are 64, of which the one made first leaves", () =>
    Effect.gen(function* () {
      const { asks } = yield* counted
      for (let i = 0; i < 64; i++) assert.strictEqual(yield* asks(`c${i}`), 1)
      assert.strictEqual(yield* asks("c0"), 0)
      yield* TestClock.adjust("501 millis")
      // Made anew, it is the youngest.
      assert.strictEqual(yield* asks("c0"), 1)
      assert.strictEqual(yield* asks("c64"), 1)
      assert.strictEqual(yield* asks("c0"), 0)
      for (let i = 65; i < 127; i++) assert.strictEqual(yield* asks(`c${i}`), 1)
      assert.strictEqual(yield* asks("c0"), 0)
      assert.strictEqual(yield* asks("c127"), 1)
      assert.strictEqual(yield* asks("c0"), 1)
    }).pipe(over())
  )

  it.effect("are forgotten once no client is behind", () =>
    Effect.gen(function* () {
      const { asks, subscribers, waiting } = yield* counted
      assert.strictEqual(yield* asks("h1"), 1)
      subscribers.remove(waiting.subscriber)
      assert.strictEqual(yield* asks("h1"), 0)
      yield* aFewTurns
      assert.strictEqual(yield* asks("h1"), 1)
    }).pipe(over())
  )
})

describe("the turns of the event loop", () => {
  /** How many steps of how many bytes are taken in the first turn. */
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
      const all = Array.from({ length: clients }, () => client())
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
      assert.strictEqual(yield* inOneTurn(40, 300_000), 4)
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
          assert.deepStrictEqual([parent, options?.root], [Option.none(), true])
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
