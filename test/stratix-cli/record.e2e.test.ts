import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { StatusSync } from "stratix-status-sync"
import {
  background,
  fakeGateway,
  folder,
  gateway,
  interrupt,
  isOneLine,
  json,
  run,
  runInTerminal,
  start,
  startInTerminal,
  until,
  url
} from "./support/cli.js"

const recording = (...at: ReadonlyArray<number>) =>
  [
    { format: "stratix-recording", version: 1, url: "ws://127.0.0.1:3001/", startedAt: 0 },
    ...at.map((millis, i) => ({
      at: millis,
      event: {
        eventType: "stratix:agent_status_update",
        payload: { agentId: `a${i}`, status: "busy" },
        timestamp: 1000 + i,
        requestId: `req-${i}`
      }
    }))
  ]
    .map((line) => `${JSON.stringify(line)}\n`)
    .join("")

const events = (path: string) =>
  json(readFileSync(path, "utf8"))
    .slice(1)
    .map((line) => line["event"])

/** One of each kind, with what JSON can hold. */
const publishAll = Effect.gen(function* () {
  const sync = yield* StatusSync.StatusSync
  yield* sync.notifyAgentCreate("a1", "Ünïcödé 🙂", "t")
  for (let i = 0; i < 50; i++) {
    yield* sync.notifyAgentStatus(`a${i % 7}`, i % 2 === 0 ? "busy" : "online")
    yield* sync.notifyCommandStatus(`c${i % 5}`, "a1", "running", i, { nested: [1, null, "\u2028", { x: -0.5 }] })
    yield* sync.broadcastUnknown({ eventType: "stratix:x", payload: { i } })
  }
  yield* sync.notifyCommandStatus("c1", "a1", "failed", undefined, undefined, 'said "no"')
})

describe("record and replay", () => {
  it.scopedLive("record, replay into another gateway, record there: identical events", () =>
    Effect.gen(function* () {
      const path = yield* folder
      yield* Effect.gen(function* () {
        const address = yield* url
        const recorder = yield* background(() => start(["record", "--url", address, "one.ndjson"], { cwd: path }))
        yield* until(recorder, /● live/, "err")
        yield* publishAll
        yield* Effect.repeat(Effect.sleep("10 millis"), {
          until: () => readFileSync(join(path, "one.ndjson"), "utf8").includes("said")
        })
        const { code, err } = yield* interrupt(recorder)
        assert.strictEqual(code, 0)
        assert.include(err, "recorded 152 events in one.ndjson")
      }).pipe(Effect.provide(gateway()))

      yield* Effect.gen(function* () {
        const address = yield* url
        const recorder = yield* background(() =>
          start(["record", "--url", address, "two.ndjson", "--count", "152"], { cwd: path })
        )
        yield* until(recorder, /● live/, "err")
        const replay = yield* run(["replay", "one.ndjson", "--url", address, "--speed", "max"], { cwd: path })
        assert.strictEqual(replay.code, 0, replay.err)
        assert.match(replay.err, /^published 152 events in \d+m?s\n$/)
        assert.strictEqual((yield* Effect.promise(() => recorder.ended)).code, 0)
      }).pipe(Effect.provide(gateway()))

      const [header] = json(readFileSync(join(path, "one.ndjson"), "utf8"))
      assert.deepInclude(header, { format: "stratix-recording", version: 1 })
      assert.lengthOf(events(join(path, "one.ndjson")), 152)
      assert.deepStrictEqual(events(join(path, "two.ndjson")), events(join(path, "one.ndjson")))
    })
  )

  it.scopedLive("begins with the state, stops after --for, and does not overwrite a file unless told so", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const sync = yield* StatusSync.StatusSync
      yield* sync.notifyAgentStatus("a1", "busy")
      const options = { cwd: path, env: { STRATIX_URL: yield* url } }
      const first = yield* run(["record", "state.ndjson", "--for", "1s"], options)
      assert.strictEqual(first.code, 0, first.err)
      assert.lengthOf(events(join(path, "state.ndjson")), 1)
      const again = yield* run(["record", "state.ndjson"], options)
      assert.strictEqual(again.code, 1)
      assert.include(again.err, "is there already")
      const forced = yield* run(["record", "state.ndjson", "--force", "--no-snapshot", "--for", "1s"], options)
      assert.strictEqual(forced.code, 0, forced.err)
      assert.lengthOf(events(join(path, "state.ndjson")), 0)
    }).pipe(Effect.provide(gateway()))
  )

  it.scopedLive("records to standard output, and replays from standard input", () =>
    Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      yield* sync.notifyAgentStatus("a1", "busy")
      const address = yield* url
      const { code, out } = yield* run(["record", "--url", address, "-", "--count", "1"])
      assert.strictEqual(code, 0)
      assert.lengthOf(json(out), 2)
      yield* Effect.gen(function* () {
        const { code: replayed } = yield* run(["replay", "-", "--url", yield* url], { input: out })
        assert.strictEqual(replayed, 0)
        const { out: state } = yield* run(["state", "--url", yield* url, "--json"])
        assert.include(state, '"a1"')
      }).pipe(Effect.provide(gateway()))
    }).pipe(Effect.provide(gateway()))
  )

  it.scopedLive("in a terminal, Ctrl-C ends a recording well, and a replay shows its progress", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const address = yield* url
      const recorder = yield* background(() => startInTerminal(["record", "--url", address, "x.ndjson"], { cwd: path }))
      yield* until(recorder, /live/)
      yield* Effect.flatMap(StatusSync.StatusSync, (sync) => sync.notifyAgentStatus("a1", "busy"))
      yield* until(recorder, /recorded 1 event/)
      recorder.type("\u0003")
      const { code, out } = yield* Effect.promise(() => recorder.ended)
      assert.strictEqual(code, 0)
      assert.include(out, "recorded 1 event in x.ndjson")
      const replay = yield* runInTerminal(["replay", "x.ndjson", "--url", address, "--speed", "max"], { cwd: path })
      assert.strictEqual(replay.code, 0)
      assert.match(replay.out, /published 1 event in/)
    }).pipe(Effect.provide(gateway()))
  )

  it.scopedLive("replays at the pace of the recording, or as many times as fast as --speed says", () =>
    Effect.gen(function* () {
      const path = yield* folder
      writeFileSync(join(path, "paced.ndjson"), recording(0, 0, 600, 1200))
      const replayed = (speed: string) =>
        Effect.gen(function* () {
          const way = yield* fakeGateway((_asked, response) => response.writeHead(202).end('{"offsets":[]}'))
          const { code, err } = yield* run(["replay", "paced.ndjson", "--url", way.url, "--speed", speed], {
            cwd: path
          })
          assert.strictEqual(code, 0)
          assert.deepStrictEqual(
            way.bodies.flat().map((event) => /"requestId":"(.*?)"/.exec(JSON.stringify(event))?.[1]),
            ["req-0", "req-1", "req-2", "req-3"]
          )
          const [, count, unit] = /published 4 events in (\d+)(ms|s)/.exec(err) ?? []
          return { requests: way.bodies.length, millis: Number(count) * (unit === "s" ? 1000 : 1) }
        })
      const original = yield* replayed("1")
      const fast = yield* replayed("4")
      // What is due together goes together: on a busy machine, that may be more than what was recorded together.
      assert.include([2, 3], original.requests)
      assert.include([2, 3], fast.requests)
      // Of the whole second in which it ends, the summary says the beginning.
      assert.isAtLeast(original.millis, 1000)
      assert.isAtLeast(fast.millis, 300)
      assert.isBelow(fast.millis, original.millis)
      assert.strictEqual((yield* replayed("max")).requests, 1)
    })
  )

  it.scopedLive("says what is wrong with a file, and with which line of it", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const address = yield* url
      writeFileSync(join(path, "other.txt"), "hello\n")
      writeFileSync(join(path, "empty"), "")
      writeFileSync(join(path, "broken.ndjson"), `${recording(0, 0)}{"at":1}\n`)
      writeFileSync(
        join(path, "wrong.ndjson"),
        recording(0, 0, 0).replace('"busy"},"timestamp":1001', '"asleep"},"timestamp":1001')
      )
      writeFileSync(join(path, "never.ndjson"), recording(0, 5).replace('"at":5', '"at":1e400'))
      writeFileSync(join(path, "latin1.ndjson"), Buffer.from(recording(0, 0).replace('"a1"', '"ä"'), "latin1"))
      for (const [file, message] of [
        ["missing.ndjson", /missing\.ndjson cannot be read: it does not exist/],
        ["other.txt", /no recording: its first line must be a header/],
        ["empty", /no recording: it is empty/],
        ["broken.ndjson", /line 4: must be like .*the 2 events before it were published/],
        [
          "never.ndjson",
          /line 3: must be like .*"at" in milliseconds up to a year.*the 1 event before it was published/
        ],
        ["latin1.ndjson", /line 3: is not UTF-8; the 1 event before it was published/],
        ["wrong.ndjson", /line 3: payload\.status: must be one of .*the 1 event before it was published/]
      ] as const) {
        const { code, err } = yield* run(["replay", file, "--url", address], { cwd: path })
        assert.strictEqual(code, 1)
        assert.match(err, message)
      }
      const nowhere = yield* run(["record", "--url", address, "no/such/folder"], { cwd: path })
      assert.strictEqual(nowhere.code, 1)
      assert.isTrue(isOneLine(nowhere.err), nowhere.err)
      assert.isFalse(existsSync(join(path, "no")))
      assert.strictEqual((yield* run(["record", "--url", address], { cwd: path })).code, 2)
      assert.strictEqual((yield* run(["replay", "x", "--speed", "fast"], { cwd: path })).code, 2)
    }).pipe(Effect.provide(gateway()))
  )
})
