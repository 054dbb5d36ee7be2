import { spawnSync } from "node:child_process"
import { chmodSync, copyFileSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { isDeepStrictEqual } from "node:util"
import { assert, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { agent, note } from "../../../../src/stratix-testing/suites/drafts.js"
import { recorded } from "../../support/gateway.js"
import { eventually, stateOf } from "../../support/redisLogs.js"
import { portOf, startGateway } from "../../support/standAlone.js"
import { describeFile, folder, openFile, PATIENCE } from "./files.js"

const upTo = (count: number) => Array.from({ length: count }, (_, n) => n)

/** A file with a log, whose gateway has ended well. */
const written = Effect.gen(function* () {
  const path = join(yield* folder, "log.db")
  yield* Effect.scoped(
    Effect.flatMap(openFile(path), (log) => log.append([...upTo(200).map((n) => agent(`a${n}`)), note(1)]))
  )
  return path
})

/** Why a gateway does not start on a file, which it must leave as it is. */
const refusal = (path: string) =>
  Effect.gen(function* () {
    const before = readFileSync(path)
    const { message } = yield* Effect.flip(Effect.scoped(openFile(path)))
    assert.deepStrictEqual(readFileSync(path), before)
    return message
  })

/** Writes over part of a file. */
const overwrite = (path: string, at: number, bytes: Buffer) => {
  const all = readFileSync(path)
  bytes.copy(all, at)
  writeFileSync(path, all)
}

describeFile("a file that is not as it was written is refused, and says what to do:", () => {
  it.live("cut off, at a page and within one", () =>
    Effect.gen(function* () {
      for (const left of [0.5, 0.9]) {
        const path = yield* written
        const size = readFileSync(path).length
        for (const cut of [Math.floor((size * left) / 4096) * 4096, Math.floor(size * left) + 7]) {
          truncateSync(path, cut)
          const message = yield* refusal(path)
          assert.match(message, /is damaged, and nothing of it is used: .*Put a backup in its place, or move it away/)
        }
      }
    }).pipe(Effect.scoped)
  )

  it.live("a byte is another one, wherever it is", () =>
    Effect.gen(function* () {
      const path = yield* written
      const good = readFileSync(path)
      const at = good.indexOf('{"agent":"a150"')
      assert.isAbove(at, 0)
      for (const place of [at + 11, at - 20, 4096 + 3, 2 * 4096 + 5]) {
        writeFileSync(path, good)
        overwrite(path, place, Buffer.from([(good[place] ?? 0) ^ 0x41]))
        assert.include(yield* refusal(path), "is damaged", `byte ${place}`)
      }
      writeFileSync(path, good)
      const log = yield* openFile(path)
      assert.strictEqual((yield* stateOf(log)).size, 200)
    }).pipe(Effect.scoped)
  )

  it.live("emptied, or gone, with its write-ahead log still there", () =>
    Effect.gen(function* () {
      const path = yield* written
      writeFileSync(`${path}-wal`, "something")
      truncateSync(path, 0)
      assert.match(yield* refusal(path), /is damaged.*it is empty, and its .*-wal is there/)
    }).pipe(Effect.scoped)
  )

  it.live("no log: something else, another program's database, a folder", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "log.db")
      writeFileSync(path, "these are notes, and no log at all")
      assert.include(yield* refusal(path), "is no log of this gateway")
      mkdirSync(`${path}.folder`)
      const isFolder = yield* Effect.flip(Effect.scoped(openFile(`${path}.folder`)))
      assert.include(isFolder.message, "is not a file")
      const nowhere = yield* Effect.flip(Effect.scoped(openFile(join(path, "..", "nowhere", "log.db"))))
      assert.match(nowhere.message, /the folder .*nowhere of .* does not exist: create it/)
      const good = yield* written
      // The application's number in SQLite's header.
      overwrite(good, 68, Buffer.from([0, 0, 0, 7]))
      assert.include(yield* refusal(good), "is the database of another program")
    }).pipe(Effect.scoped)
  )

  it.live("of another version of the format, older or newer", () =>
    Effect.gen(function* () {
      const path = yield* written
      for (const [format, advice] of [
        [0, "run the older version that wrote it"],
        [3, "run the newer version that wrote it"]
      ] as const) {
        // The user's version in SQLite's header.
        overwrite(path, 60, Buffer.from([0, 0, 0, format]))
        assert.include(yield* refusal(path), `has format ${format}, and this version reads formats up to 2: ${advice}`)
      }
    }).pipe(Effect.scoped)
  )
})

describeFile("a place where nothing can be written is refused", () => {
  const isRoot = process.getuid?.() === 0

  it.live(
    `by name, before anything listens (${isRoot ? "/proc, as root may write everywhere else" : "a folder of another's"})`,
    () =>
      Effect.gen(function* () {
        const path = isRoot ? "/proc" : yield* folder
        if (!isRoot) chmodSync(path, 0o500)
        const { message } = yield* Effect.flip(Effect.scoped(openFile(join(path, "log.db"))))
        assert.match(message, /log\.db.* (cannot be (made|locked)|may not be written)/)
        assert.include(message, "the gateway writes")
        if (!isRoot) chmodSync(path, 0o700)
      }).pipe(Effect.scoped)
  )
})

describeFile("one file has one gateway:", () => {
  it.live(
    "the second is refused while the first runs, and not after it was killed",
    () =>
      Effect.gen(function* () {
        const path = join(yield* folder, "log.db")
        const first = yield* Effect.promise(() => startGateway({ STRATIX_EVENT_LOG: `file:${path}` }))
        yield* Effect.promise(() => portOf(first))
        const refused = yield* Effect.flip(Effect.scoped(openFile(path)))
        assert.include(refused.message, `another gateway has the log in ${path}: a file has one gateway`)
        const second = yield* Effect.promise(() => startGateway({ STRATIX_EVENT_LOG: `file:${path}` }))
        const { code, output } = yield* Effect.promise(() => second.ended)
        assert.strictEqual(code, 1)
        assert.include(output, "another gateway has the log")
        first.child.kill("SIGKILL")
        yield* Effect.promise(() => first.ended)
        yield* openFile(path)
      }).pipe(Effect.scoped),
    PATIENCE
  )

  it.live("a copy of its file is a log of its own: cursors from after the copy start afresh", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "log.db")
      const first = yield* Scope.make()
      const log = yield* Scope.extend(openFile(path), first)
      const [early = ""] = yield* log.append([agent("a")])
      yield* Scope.close(first, Exit.void)
      copyFileSync(path, `${path}.backup`)
      const late = yield* Effect.scoped(
        Effect.flatMap(openFile(path), (again) => Effect.map(again.append([agent("lost")]), ([offset = ""]) => offset))
      )
      const restored = yield* openFile(`${path}.backup`)
      yield* restored.append([agent("b"), agent("c")])
      assert.strictEqual((yield* restored.since(early)).mode, "resume")
      assert.strictEqual((yield* restored.since(late)).mode, "snapshot")
    }).pipe(Effect.scoped)
  )
})

describeFile("a write-ahead log with other bytes than were written", () => {
  it.live("ends before the first of them: no append is read in part, and who saw more begins afresh", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "log.db")
      const appends = upTo(20)
      // Of a gateway that runs still: one that ends well leaves no write-ahead log behind.
      const log = yield* openFile(path)
      const states = [yield* stateOf(log)]
      const offsets: Array<string> = []
      for (const n of appends) {
        const [, offset = ""] = yield* log.append([agent("same", n), agent(`a${n}`)])
        offsets.push(offset)
        states.push(yield* stateOf(log))
      }
      const wal = readFileSync(`${path}-wal`)
      const kept: Array<number> = []
      for (const [i, at] of [0, 0.3, 0.6, 0.9, 1].entries()) {
        const copy = `${path}.${i}`
        const place = Math.floor((wal.length - 1) * at)
        copyFileSync(path, copy)
        writeFileSync(`${copy}-wal`, wal)
        overwrite(`${copy}-wal`, place, Buffer.from([(wal[place] ?? 0) ^ 0x41]))
        const damaged = yield* openFile(copy)
        const state = [...(yield* stateOf(damaged))]
        const count = states.findIndex((one) => isDeepStrictEqual([...one], state))
        assert.isAtLeast(count, 0, `byte ${place}: the state of no moment`)
        kept.push(count)
        // As many again as were lost, and more: their places are given anew.
        yield* damaged.append(appends.flatMap((n) => [agent(`b${n}`), agent(`c${n}`), agent(`d${n}`)]))
        for (const [n, offset] of offsets.entries()) {
          const { mode } = yield* damaged.since(offset)
          assert.strictEqual(mode, n < count ? "resume" : "snapshot", `byte ${place}: reader of append ${n}`)
        }
      }
      assert.deepStrictEqual(
        kept,
        kept.toSorted((a, b) => a - b)
      )
      assert.strictEqual(kept[0], 0)
      assert.include([...upTo(appends.length)], kept.at(-1))
      assert.isAbove(kept.at(-1) ?? 0, 0)
    }).pipe(Effect.scoped)
  )
})

describeFile("a write-ahead log that begins otherwise than it was written", () => {
  it.live("right after the file was made: it is still a log of its name, and the loss is told of", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "log.db")
      // Of a gateway that runs still: one that ends well leaves no write-ahead log behind.
      const log = yield* openFile(path)
      const [, offset] = yield* log.append([agent("a"), agent("b")])
      for (const [i, place] of [0, 13, 27].entries()) {
        const copy = `${path}.${i}`
        copyFileSync(path, copy)
        copyFileSync(`${path}-wal`, `${copy}-wal`)
        const wal = readFileSync(`${copy}-wal`)
        overwrite(`${copy}-wal`, place, Buffer.from([(wal[place] ?? 0) ^ 0x41]))
        const lines: Array<string> = []
        const damaged = yield* openFile(copy, {}, {}, recorded(lines))
        assert.isTrue(
          lines.some((line) => line.includes("ERROR") && line.includes("-wal is not what was written")),
          `byte ${place}`
        )
        assert.strictEqual(damaged.id, log.id)
        assert.strictEqual((yield* damaged.since(offset)).mode, "snapshot")
      }
      copyFileSync(path, `${path}.whole`)
      copyFileSync(`${path}-wal`, `${path}.whole-wal`)
      const lines: Array<string> = []
      const whole = yield* openFile(`${path}.whole`, {}, {}, recorded(lines))
      assert.deepStrictEqual([...(yield* stateOf(whole)).keys()], ["agent:a", "agent:b"])
      assert.isFalse(lines.some((line) => line.includes("ERROR")))
    }).pipe(Effect.scoped)
  )
})

describeFile("a disk that takes nothing", () => {
  it.live(
    "publishers are told Unavailable, nothing is lost, and with space it goes on",
    () =>
      Effect.gen(function* () {
        const path = join(yield* folder, "log.db")
        const gateway = yield* Effect.acquireRelease(
          Effect.promise(() =>
            startGateway({ STRATIX_EVENT_LOG: `file:${path}`, STRATIX_EVENT_LOG_STALENESS: "1 millis" })
          ),
          ({ child, ended }) =>
            Effect.promise(() => {
              child.kill("SIGKILL")
              return ended
            })
        )
        const port = yield* Effect.promise(() => portOf(gateway))
        /** Bytes that a file of the gateway may have: a full disk, which needs no file system of its own. */
        const space = (bytes: string) => {
          const { status } = spawnSync("prlimit", ["--pid", String(gateway.child.pid), `--fsize=${bytes}:`])
          assert.strictEqual(status, 0)
        }
        const put = (n: number) =>
          Effect.promise(async () => {
            const answer = await fetch(`http://127.0.0.1:${port}/api/stratix/agents/a${n}/status`, {
              method: "PUT",
              headers: { "content-type": "application/json" },
              body: JSON.stringify({ status: "busy", reason: "x".repeat(200) })
            })
            return { status: answer.status, retryAfter: answer.headers.get("retry-after"), text: await answer.text() }
          })
        const published: Array<string> = []
        const publishAll = (from: number, to: number) =>
          Effect.forEach(upTo(to - from), (i) =>
            Effect.map(put(from + i), ({ status }) => {
              if (status === 202) published.push(`a${from + i}`)
            })
          )
        yield* publishAll(0, 10)
        assert.lengthOf(published, 10)
        space(String(4096))
        const refused = yield* eventually(put(10), ({ status }) => status !== 202)
        assert.strictEqual(refused.status, 503)
        assert.strictEqual(refused.retryAfter, "1")
        assert.include(refused.text, '"Unavailable"')
        const ready = Effect.promise(async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).status)
        yield* eventually(ready, (status) => status === 503)
        const agents = Effect.promise(async () => {
          const state = await (await fetch(`http://127.0.0.1:${port}/api/stratix/state`)).json()
          const events: ReadonlyArray<{ payload: { agentId: string } }> = state.events
          return events.map(({ payload }) => payload.agentId)
        })
        assert.notInclude((yield* agents).slice(0, 10), "a10")

        space("unlimited")
        yield* eventually(ready, (status) => status === 200)
        yield* publishAll(20, 30)
        assert.lengthOf(published, 20)
        const shown = yield* agents
        gateway.child.kill("SIGKILL")
        yield* Effect.promise(() => gateway.ended)
        const log = yield* openFile(path)
        const kept = [...(yield* stateOf(log)).keys()]
        assert.deepStrictEqual(
          kept,
          shown.map((id) => `agent:${id}`)
        )
        for (const id of published) assert.include(kept, `agent:${id}`)
      }).pipe(Effect.scoped),
    PATIENCE
  )
})
