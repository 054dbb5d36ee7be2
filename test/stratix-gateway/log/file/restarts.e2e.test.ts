import { statSync } from "node:fs"
import { join } from "node:path"
import { assert, it } from "@effect/vitest"
import { Effect, TestClock } from "effect"
import WebSocket from "ws"
import {
  agent,
  command,
  commandOf,
  leased,
  note,
  own,
  ownRemoval,
  removal
} from "../../../../src/stratix-testing/suites/drafts.js"
import { eventually, Reader, stateOf } from "../../support/redisLogs.js"
import { portOf, startGateway } from "../../support/standAlone.js"
import { describeFile, folder, openFile, PATIENCE } from "./files.js"

const upTo = (count: number) => Array.from({ length: count }, (_, n) => n)

/** The sequence number in an offset. */
const seqOf = (offset: string): number => Number.parseInt(offset.split("-")[1] ?? "", 36)

describeFile("a log in a file, over restarts", () => {
  it.live("keeps its name, its state and its history: readers resume exactly, and an idempotency key stays valid", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "log.db")
      const [early, late, gone] = [new Reader(), new Reader(), new Reader()]
      const before = yield* Effect.scoped(
        Effect.gen(function* () {
          const log = yield* openFile(path)
          yield* log.append([agent("a"), agent("b"), command("c", false), note(1)])
          yield* early.read(log)
          yield* log.append([commandOf("c", "b", 1), removal("a"), note(2)])
          const keyed = yield* log.append([agent("d"), note(3)], { idempotencyKey: "key" })
          yield* late.read(log)
          return { id: log.id, head: log.head().offset, keyed, state: yield* stateOf(log) }
        })
      )
      const log = yield* openFile(path)
      assert.strictEqual(log.id, before.id)
      assert.strictEqual(log.head().offset, before.head)
      assert.deepStrictEqual(yield* stateOf(log), before.state)
      assert.deepStrictEqual(yield* log.append([agent("d"), note(3)], { idempotencyKey: "key" }), before.keyed)
      const [next] = yield* log.append([agent("e")])
      assert.strictEqual(seqOf(next ?? ""), seqOf(before.head) + 1)
      for (const reader of [early, late]) {
        yield* reader.read(log)
        assert.deepStrictEqual(reader.modes, ["snapshot", "resume"])
        assert.deepStrictEqual(reader.state, yield* stateOf(log))
      }
      gone.cursor = `${before.head.slice(0, before.head.indexOf("-"))}-zz-1`
      yield* gone.read(log)
      assert.deepStrictEqual(gone.modes, ["snapshot"])
    }).pipe(Effect.scoped)
  )

  it.effect("each lease runs its full length once more, and ends then", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "log.db")
      yield* Effect.scoped(
        Effect.gen(function* () {
          const log = yield* openFile(path)
          yield* log.append([leased("a", 60_000)])
          yield* TestClock.adjust("59 seconds")
        })
      )
      yield* TestClock.adjust("10 minutes")
      const log = yield* openFile(path)
      yield* TestClock.adjust("59999 millis")
      yield* log.append([])
      assert.deepStrictEqual([...(yield* stateOf(log)).values()], [leased("a", 60_000).json])
      yield* TestClock.adjust("1 millis")
      yield* log.append([])
      assert.include([...(yield* stateOf(log)).values()].join(), "lease expired")
    }).pipe(Effect.scoped)
  )

  it.live("under small bounds, whatever happens between restarts: what a reader folds is the state", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "log.db")
      const bounds = { historyCapacity: 8, latestCapacity: 6, removalMarks: 3, finishedCapacity: 2 }
      const readers = [new Reader(), new Reader(), new Reader()]
      let random = 1
      const draw = (below: number) => {
        random = (random * 48_271) % 2_147_483_647
        return random % below
      }
      for (const round of upTo(8)) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const log = yield* openFile(path, bounds)
            for (const n of upTo(15)) {
              const id = `${draw(5)}`
              const number = round * 100 + n
              const drafts = [
                agent(id, number),
                command(id, draw(2) === 0, number),
                commandOf(id, `a${draw(3)}`, number),
                removal(id),
                own(id, number, `a${draw(3)}`),
                { ...own(id, number), finished: true },
                ownRemoval(id),
                note(number)
              ]
              yield* log.append([...upTo(1 + draw(3))].flatMap(() => drafts[draw(drafts.length)] ?? []))
              const reader = readers[draw(6)]
              if (reader === undefined) continue
              yield* reader.read(log)
              assert.deepStrictEqual(reader.state, yield* stateOf(log), `round ${round}, step ${n}`)
            }
          })
        )
      }
    }).pipe(Effect.scoped)
  )

  it.live("the file does not grow with what is published, and what is needed of it stays", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "log.db")
      const pad = "x".repeat(1000)
      const big = (n: number) => ({ ...agent(`a${n % 50}`, n), json: `{"n":${n},"pad":"${pad}"}` })
      const state = yield* Effect.scoped(
        Effect.gen(function* () {
          const log = yield* openFile(path, { historyCapacity: 100 })
          yield* log.append([agent("first"), removal("first"), agent("second")])
          for (const round of upTo(30)) yield* log.append(upTo(500).map((n) => big(round * 500 + n)))
          return yield* stateOf(log)
        })
      )
      // 15 MB were published; needed are 0.15 MB.
      assert.isBelow(statSync(path).size, 6_000_000)
      const log = yield* openFile(path, { historyCapacity: 100 })
      assert.deepStrictEqual(yield* stateOf(log), state)
      assert.strictEqual(log.stats().removalMarks, 1)
      assert.strictEqual(log.stats().historyEvents, 100)
    }).pipe(Effect.scoped)
  )
})

/** A sync client that goes on where it was, at whichever gateway is there. */
class Screen {
  readonly numbers: Array<number> = []
  readonly offsets: Array<string> = []
  readonly modes: Array<string> = []
  private cursor: string | undefined

  connect(port: number): WebSocket {
    const query = this.cursor === undefined ? "" : `?since=${this.cursor}`
    const socket = new WebSocket(`ws://127.0.0.1:${port}/${query}`, "stratix.sync.v1")
    socket.on("error", () => undefined)
    socket.on("message", (data) => {
      const { eventType, payload } = JSON.parse(String(data))
      if (eventType === "stratix:sync") {
        this.modes.push(payload.mode)
        // Only once nothing more is owed: the events come after it.
        if (payload.count === 0) this.cursor = payload.to
      }
      for (const event of eventType === "stratix:events" ? payload.events : []) {
        this.numbers.push(event.payload.n)
        this.offsets.push(event.offset)
        this.cursor = event.offset
      }
    })
    return socket
  }
}

describeFile("a gateway that is killed -9 in mid-burst", () => {
  const KILLS = 6

  it.live(
    "has everything that it acknowledged, once and in its order, and its screen resumes exactly",
    () =>
      Effect.gen(function* () {
        const path = join(yield* folder, "log.db")
        const screen = new Screen()
        const acknowledged: Array<number> = []
        let n = 0
        const publish = async (port: number) => {
          for (;;) {
            const mine = n++
            const body = JSON.stringify({ eventType: "stratix:note", payload: { n: mine } })
            const headers = { "content-type": "application/json" }
            const answer = await fetch(`http://127.0.0.1:${port}/api/stratix/events`, { method: "POST", headers, body })
            if (answer.status !== 202) throw new Error(await answer.text())
            await answer.text()
            acknowledged.push(mine)
          }
        }
        const start = Effect.promise(async () => {
          const gateway = await startGateway({ STRATIX_EVENT_LOG: `file:${path}` })
          return { gateway, port: await portOf(gateway) }
        })
        for (const round of upTo(KILLS)) {
          const { gateway, port } = yield* start
          screen.connect(port)
          yield* eventually(
            Effect.sync(() => screen.modes.length),
            (count) => count > round
          )
          const enough = acknowledged.length + 30 + 17 * round
          const publishers = upTo(4).map(() => publish(port).catch(() => undefined))
          yield* eventually(
            Effect.sync(() => acknowledged.length),
            (count) => count >= enough
          )
          gateway.child.kill("SIGKILL")
          yield* Effect.promise(() => Promise.all([gateway.ended, ...publishers]))
        }
        const { gateway, port } = yield* start
        screen.connect(port)
        yield* eventually(
          Effect.sync(() => new Set(screen.numbers)),
          (shown) => screen.modes.length > KILLS && acknowledged.every((each) => shown.has(each))
        )
        gateway.child.kill("SIGKILL")
        yield* Effect.promise(() => gateway.ended)
        assert.deepStrictEqual([...new Set(screen.modes)], ["snapshot", "resume"])
        assert.lengthOf(new Set(screen.numbers), screen.numbers.length)
        const places = screen.offsets.map(seqOf)
        assert.deepStrictEqual(
          places,
          [...upTo(places.length)].map((i) => i + 1)
        )
      }).pipe(Effect.scoped),
    PATIENCE
  )
})
