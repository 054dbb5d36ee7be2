import * as Vitest from "@effect/vitest"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, FastCheck, Fiber, Layer, TestClock, TestContext } from "effect"
import * as Channel from "../../../../src/stratix-gateway/channel/Channel.js"
import { Link } from "../../../../src/stratix-gateway/channel/Link.js"
import { EventLog, EventLogMemory, StatusSyncConfig } from "../../../../src/stratix-gateway/index.js"
import * as EventLogChannel from "../../../../src/stratix-gateway/log/channel/EventLogChannel.js"
import * as LogFeed from "../../../../src/stratix-gateway/log/channel/LogFeed.js"
import { eventLogSuite } from "../../../../src/stratix-testing/index.js"
import {
  agent,
  command,
  commandOf,
  inTenant,
  leased,
  note,
  own,
  ownRemoval,
  removal
} from "../../../../src/stratix-testing/suites/drafts.js"

type Log = EventLog.EventLog["Type"]

/** A channel whose one end stops to read, as a process does that has much to do. */
const holding = (channel: Channel.Channel) => {
  let held: Array<() => void> | undefined
  const end: Channel.Channel = {
    ...channel,
    write: (bytes) => (held === undefined ? channel.write(bytes) : held.push(() => channel.write(bytes))),
    unsent: () => (held === undefined ? channel.unsent() : Number.POSITIVE_INFINITY),
    listen: (listener) => channel.listen(listener),
    end: () => channel.end()
  }
  return {
    end,
    hold: () => {
      held = []
    },
    release: () => {
      const writes = held ?? []
      held = undefined
      for (const write of writes) write()
    }
  }
}

/** The log in memory, and copies of it. */
const owner = Effect.gen(function* () {
  const config = yield* StatusSyncConfig.StatusSyncConfig
  const context = yield* Layer.build(EventLogMemory.layer)
  const feed = yield* Effect.provide(LogFeed.make, context)
  const copy = Effect.gen(function* () {
    const [theirs, ours] = Channel.memory()
    const gate = holding(theirs)
    const link = new Link(gate.end)
    feed.add(link)
    link.open()
    const layer = Layer.provide(
      EventLogChannel.layer(new Link(ours)),
      Layer.succeed(StatusSyncConfig.StatusSyncConfig, config)
    )
    return { log: Context.get(yield* Layer.build(layer), EventLog.EventLog), link, gate }
  })
  return { log: Context.get(context, EventLog.EventLog), copy }
})

const layer = Layer.scoped(
  EventLog.EventLog,
  Effect.flatMap(owner, ({ copy }) => Effect.map(copy, ({ log }) => log))
)

const told = (log: Log, since?: string) =>
  Effect.map(log.since(since), ({ entries, lost, mode, to }) => ({
    mode,
    lost,
    to,
    entries: entries.map((entry) => [entry.offset, entry.key, entry.json, entry.departure?.json])
  }))

const withSettings = (settings: Partial<StatusSyncConfig.Settings> = {}) =>
  Effect.provide(StatusSyncConfig.layer(settings))

eventLogSuite(Vitest, "in another process", layer, {
  settle: Effect.flatMap(EventLog.EventLog, (log) => Effect.asVoid(log.append([]))),
  runs: 4
})

describe("copies of one log", () => {
  const id = FastCheck.integer({ min: 0, max: 3 }).map(String)
  const draft = FastCheck.oneof(
    FastCheck.tuple(id, FastCheck.nat(9)).map(([key, n]) => agent(key, n)),
    id.map((key) => leased(key, 5000)),
    FastCheck.tuple(id, id).map(([key, of]) => commandOf(key, of, 1)),
    id.map((key) => command(key, true)),
    id.map(removal),
    id.map((key) => own(key, 1, "a")),
    id.map((key) => own(key, 2, "b")),
    id.map(ownRemoval),
    FastCheck.constant(note()),
    id.map((key) => inTenant("other", agent(key)))
  )
  it("one that is made at any time answers every cursor as the log itself does", () =>
    FastCheck.assert(
      FastCheck.asyncProperty(FastCheck.array(draft, { maxLength: 60 }), FastCheck.nat(60), (drafts, early) =>
        Effect.gen(function* () {
          const { copy, log } = yield* owner
          const first = yield* copy
          const offsets = [...(yield* first.log.append(drafts.slice(0, early)))]
          yield* TestClock.adjust("3 seconds")
          yield* first.log.append([])
          const second = yield* copy
          offsets.push(...(yield* second.log.append(drafts.slice(early))))
          yield* TestClock.adjust("3 seconds")
          for (const { log } of [first, second]) yield* log.append([])
          const third = yield* copy
          for (const cursor of [undefined, ...offsets]) {
            const expected = yield* told(log, cursor)
            for (const each of [first, second, third]) assert.deepStrictEqual(yield* told(each.log, cursor), expected)
          }
        }).pipe(
          Effect.scoped,
          withSettings({ historyCapacity: 12, removalMarks: 3, finishedCapacity: 2 }),
          Effect.provide(TestContext.TestContext),
          Effect.runPromise
        )
      ),
      { numRuns: 10 }
    ))

  it.effect("who is answered reads the event, and one that waits for a place of another copy gets there", () =>
    Effect.gen(function* () {
      const { copy } = yield* owner
      const [one, two] = [yield* copy, yield* copy]
      const [offset = ""] = yield* one.log.append([agent("a")])
      assert.strictEqual(one.log.head().offset, offset)
      yield* two.log.reached(offset)
      assert.strictEqual(two.log.head().offset, offset)
      assert.strictEqual(one.log.id, two.log.id)
    }).pipe(Effect.scoped, withSettings())
  )

  it.effect("an idempotency key counts at all of them", () =>
    Effect.gen(function* () {
      const { copy, log } = yield* owner
      const [one, two] = [yield* copy, yield* copy]
      const first = yield* one.log.append([note(1), note(2)], { idempotencyKey: "k" })
      assert.deepStrictEqual(yield* two.log.append([note(1), note(2)], { idempotencyKey: "k" }), first)
      assert.strictEqual((yield* log.since(undefined)).to, first[1])
    }).pipe(Effect.scoped, withSettings())
  )

  it.effect(
    "one that does not read holds nothing but its place, and is given what the history has, or everything",
    () =>
      Effect.gen(function* () {
        const { copy, log } = yield* owner
        const [slow, quick] = [yield* copy, yield* copy]
        const [known = ""] = yield* slow.log.append([agent("a")])
        for (const [count, rebuilds] of [
          [10, 0],
          [50, 1]
        ] as const) {
          slow.gate.hold()
          const rebuilt = yield* Effect.fork(slow.log.rebuilds)
          yield* quick.log.append(Array.from({ length: count }, (_, n) => agent(String(n % 7), n)))
          assert.notStrictEqual(slow.log.head().offset, log.head().offset)
          slow.gate.release()
          yield* slow.log.append([])
          assert.strictEqual(slow.log.health().rebuilds, rebuilds)
          assert.deepStrictEqual(yield* told(slow.log, known), yield* told(log, known))
          if (rebuilds > 0) yield* Fiber.join(rebuilt)
          else yield* Fiber.interrupt(rebuilt)
        }
      }).pipe(Effect.scoped, withSettings({ historyCapacity: 20 }))
  )

  it.effect("what was asked when the other process ends may have been taken; after that nothing is", () =>
    Effect.gen(function* () {
      const { copy, log } = yield* owner
      const one = yield* copy
      yield* one.log.append([agent("a")])
      one.gate.hold()
      const asked = yield* Effect.fork(Effect.flip(one.log.append([agent("b")])))
      while (log.head().index === one.log.head().index) yield* Effect.yieldNow()
      one.link.end()
      assert.strictEqual((yield* Fiber.join(asked)).reason, "Uncertain")
      assert.strictEqual((yield* Effect.flip(one.log.append([agent("c")]))).reason, "Unavailable")
      assert.isAbove(one.log.health().staleMillis, 0)
    }).pipe(Effect.scoped, withSettings())
  )

  it.effect("one whose log says nothing serves on, and says how old that may be", () =>
    Effect.gen(function* () {
      const { copy } = yield* owner
      const one = yield* copy
      yield* one.log.append([agent("a")])
      yield* TestClock.adjust("2 seconds")
      yield* one.log.append([])
      assert.strictEqual(one.log.health().staleMillis, 0)
      one.gate.hold()
      const asked = yield* Effect.fork(Effect.flip(one.log.append([agent("b")])))
      yield* TestClock.adjust("5 seconds")
      assert.isAbove(one.log.health().staleMillis, 3000)
      assert.strictEqual((yield* Fiber.join(asked)).reason, "Uncertain")
      assert.lengthOf((yield* one.log.latest()).entries, 1)
    }).pipe(Effect.scoped, withSettings())
  )
})
