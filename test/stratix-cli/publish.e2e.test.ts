import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { EventLog, Filter, StatusSync } from "stratix-status-sync"
import { background, fakeGateway, gateway, isOneLine, run, runInTerminal, shell, start, url } from "./support/cli.js"

/** The newest event of every key, as published. */
const latest = Effect.gen(function* () {
  const log = yield* EventLog.EventLog
  const { entries } = yield* Effect.orDie(log.latest(Filter.all))
  return entries.map(({ json }): { eventType: string; payload: unknown; requestId: string } => JSON.parse(json))
})

const payloads = Effect.map(latest, (events) => events.map(({ payload }) => payload))

const status = (agentId: string, value: string) =>
  JSON.stringify({ eventType: "stratix:agent_status_update", payload: { agentId, status: value } })

const lines = (count: number) => Array.from({ length: count }, (_, i) => status(`a${i}`, "busy"))

describe("publish", () => {
  it.scopedLive("each kind of event by its fields, options before or behind; prints the offset", () =>
    Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      const address = yield* url
      const env = { STRATIX_URL: address }
      const seen: Array<unknown> = []
      const first = yield* run(["publish", "agent-status", "a1", "busy"], { env })
      assert.match(first.out, /^\S+\n$/)
      assert.strictEqual(first.err, "")
      for (const args of [
        ["agent-create", "a1", "Scout", "researcher"],
        ["command-status", "c1", "a1", "running", "--progress", "40", "--request-id", "mine"],
        ["command-status", "--result", '{"files":2}', "c2", "a1", "success", "--url", address],
        ["command-status", "c3", "a1", "failed", "--error", "no space left"]
      ]) {
        seen.push((yield* run(["publish", ...args], { env })).code)
      }
      seen.push((yield* run(["publish", "--url", address, "event", "x", '{"json":1}'])).code)
      assert.deepStrictEqual(seen, [0, 0, 0, 0, 0])
      assert.deepStrictEqual(yield* payloads, [
        { agentId: "a1", status: "busy" },
        { agentId: "a1", name: "Scout", type: "researcher" },
        { commandId: "c1", agentId: "a1", commandStatus: "running", progress: 40 },
        { commandId: "c2", agentId: "a1", commandStatus: "success", result: { files: 2 } },
        { commandId: "c3", agentId: "a1", commandStatus: "failed", error: "no space left" }
      ])
      assert.strictEqual((yield* latest)[2]?.requestId, "mine")
      assert.strictEqual(yield* sync.clientCount, 0)
    }).pipe(Effect.provide(gateway()))
  )

  it.scopedLive("a status with a lease, a reason, and an end for its commands", () =>
    Effect.gen(function* () {
      const { stats } = yield* EventLog.EventLog
      const env = { STRATIX_URL: yield* url }
      const publish = (...args: ReadonlyArray<string>) => run(["publish", "agent-status", ...args], { env })
      const leased = yield* publish("a1", "busy", "--lease", "10m", "--end-commands", "--reason", "compiling")
      assert.strictEqual(leased.code, 0, leased.err)
      assert.strictEqual(stats().leases, 1)
      assert.deepStrictEqual(yield* payloads, [{ agentId: "a1", status: "busy", reason: "compiling" }])
      assert.include((yield* publish("a1", "busy", "--lease", "soon")).err, "--lease must be a time")
      const refused = yield* publish("a1", "busy", "--lease", "2h")
      assert.match(refused.err, /leaseMs: must be whole milliseconds from 1 to 3600000/)
    }).pipe(Effect.provide(gateway()))
  )

  it.scopedLive("fields of your own beside those of each event, and no others", () =>
    Effect.gen(function* () {
      const env = { STRATIX_URL: yield* url }
      const publish = (...args: ReadonlyArray<string>) => run(["publish", ...args], { env })
      for (const args of [
        ["agent-status", "a1", "busy", "--extra", '{"title":"Scout"}'],
        ["agent-create", "a1", "Scout", "researcher", "--extra", '{"team":{"id":1}}'],
        ["command-status", "c1", "a1", "running", "--progress", "40", "--extra", '{"data":[1]}']
      ]) {
        const { code, err } = yield* publish(...args)
        assert.strictEqual(code, 0, err)
      }
      assert.deepStrictEqual(yield* payloads, [
        { agentId: "a1", status: "busy", title: "Scout" },
        { agentId: "a1", name: "Scout", type: "researcher", team: { id: 1 } },
        { commandId: "c1", agentId: "a1", commandStatus: "running", progress: 40, data: [1] }
      ])
      for (const [extra, complaint] of [
        ["{", "--extra must be JSON"],
        ["[1]", "--extra must be a JSON object"],
        ["null", "--extra must be a JSON object"],
        ['{"status":"online"}', "extra.status"],
        ['{"__proto__":{}}', "__proto__"]
      ] as const) {
        const { code, err } = yield* publish("agent-status", "a1", "busy", "--extra", extra)
        assert.notStrictEqual(code, 0)
        assert.include(err, complaint)
      }
    }).pipe(Effect.provide(gateway()))
  )

  it.scopedLive("works in a terminal, where it has nothing on standard input to read", () =>
    Effect.gen(function* () {
      const env = { STRATIX_URL: yield* url }
      assert.match((yield* runInTerminal(["publish", "agent-status", "a1", "busy"], { env })).out, /^\S+\r\n$/)
      const nothing = yield* runInTerminal(["publish"], { env })
      assert.strictEqual(nothing.code, 2)
      assert.include(nothing.out, "publish what?")
    }).pipe(Effect.provide(gateway()))
  )

  it.scopedLive("what is refused is said on one line, with the field", () =>
    Effect.gen(function* () {
      const env = { STRATIX_URL: yield* url }
      const cases: ReadonlyArray<readonly [ReadonlyArray<string>, number, RegExp]> = [
        [["agent-status", "a1", "asleep"], 2, /<status> must be one of online, offline, busy, error; is "asleep"/],
        [
          ["command-status", "c1", "a1", "running", "--progress", "400"],
          1,
          /payload.progress: must be a number from 0 to 100/
        ],
        [["command-status", "c1", "a1", "running", "--result", "{"], 2, /--result must be JSON/],
        [["event", "stratix:x", "[1]"], 1, /payload: must be a JSON object/],
        [["event", "stratix:connected", "{}"], 1, /cannot be published/],
        [["agent-status", "a1"], 2, /Missing argument <status>/],
        [["agent-status", "a1", "busy", "--nope"], 2, /--nope/]
      ]
      for (const [args, code, message] of cases) {
        const ended = yield* run(["publish", ...args], { env })
        assert.strictEqual(ended.code, code, ended.err)
        assert.match(ended.err, message)
        assert.isTrue(isOneLine(ended.err), ended.err)
        assert.strictEqual(ended.out, "")
      }
    }).pipe(Effect.provide(gateway()))
  )

  it.scopedLive("one event a line from standard input, in order, in requests of 1,000 at the most", () =>
    Effect.gen(function* () {
      const way = yield* fakeGateway((_asked, response) => response.writeHead(202).end('{"offsets":[]}'))
      const all = lines(2500)
      const { code, err } = yield* run(["publish", "--url", way.url], { input: `${all.join("\n")}\n\n` })
      assert.strictEqual(code, 0, err)
      assert.match(err, /^published 2500 events in \d+m?s\n$/)
      assert.deepStrictEqual(
        way.bodies.flat(),
        all.map((line) => JSON.parse(line))
      )
      assert.isTrue(way.bodies.every((body) => !Array.isArray(body) || body.length <= 1000))
    })
  )

  it.scopedLive("shows its progress where standard error is a terminal", () =>
    Effect.gen(function* () {
      const address = yield* url
      const input = lines(2500).join("\n")
      const file = yield* Effect.promise(() => import("node:fs/promises"))
      const path = `/tmp/stratix-cli-progress-${process.pid}.ndjson`
      yield* Effect.acquireRelease(
        Effect.promise(() => file.writeFile(path, input)),
        () => Effect.promise(() => file.rm(path))
      )
      const terminal = yield* background(() =>
        shell(`export -f stratix; script -qefc 'stratix publish --url ${address} < ${path}' /dev/null`, {
          env: { SHELL: "/bin/bash" }
        })
      )
      const { code, out } = yield* Effect.promise(() => terminal.ended)
      assert.strictEqual(code, 0, out)
      // biome-ignore lint/suspicious/noControlCharactersInRegex: the line is erased by one
      assert.match(out, /\r\u001b\[Kpublished \d+ events, \d+ a second/)
      assert.match(out, /published 2500 events in \d+m?s\r\n$/)
    }).pipe(Effect.provide(gateway()))
  )

  it.scopedLive("a line is published when it is written, not when the input ends", () =>
    Effect.gen(function* () {
      const address = yield* url
      const publish = yield* background(() => start(["publish", "--url", address]))
      publish.type(`${status("a1", "busy")}\n`)
      const log = yield* EventLog.EventLog
      yield* Effect.repeat(Effect.sleep("10 millis"), { until: () => log.head().index >= 1 })
      publish.child.stdin?.end()
      assert.strictEqual((yield* Effect.promise(() => publish.ended)).code, 0)
    }).pipe(Effect.provide(gateway()))
  )

  it.scopedLive("waits as long as the gateway asks for by Retry-After, then says the same again", () =>
    Effect.gen(function* () {
      const way = yield* fakeGateway((asked, response) => {
        if (asked.length === 1) response.writeHead(429, { "retry-after": "1" }).end()
        else if (asked.length === 2) response.writeHead(503, { "retry-after": "0" }).end()
        else response.writeHead(202).end('{"offsets":["1"]}')
      })
      const { code } = yield* run(["publish", "--url", way.url, "agent-status", "a1", "busy"])
      assert.strictEqual(code, 0)
      const [first, second, third] = way.bodies
      assert.deepStrictEqual([second, third], [first, first])
      assert.isAtLeast((way.times[1] ?? 0) - (way.times[0] ?? 0), 990)
    })
  )

  it.scopedLive("names the line that is refused, publishes those before it and none after it", () =>
    Effect.gen(function* () {
      const address = yield* url
      const input = [status("a1", "busy"), "", status("a2", "busy"), status("a3", "asleep"), status("a4", "busy")]
      const { code, err } = yield* run(["publish", "--url", address], { input: input.join("\n") })
      assert.strictEqual(code, 1)
      assert.match(err, /line 4: payload\.status: must be one of/)
      assert.include(err, "the 2 events before it were published, and nothing after it")
      assert.deepStrictEqual(
        (yield* payloads).map((payload) => JSON.stringify(payload)),
        ['{"agentId":"a1","status":"busy"}', '{"agentId":"a2","status":"busy"}']
      )
    }).pipe(Effect.provide(gateway()))
  )

  it.scopedLive("with --keep-going every other line is published, and it fails at the end", () =>
    Effect.gen(function* () {
      const address = yield* url
      const input = ["{", status("a1", "busy"), "[]", status("a2", "asleep"), status("a3", "busy"), "7"].join("\n")
      const { code, err } = yield* run(["publish", "--keep-going", "--url", address], { input })
      assert.strictEqual(code, 1)
      assert.deepStrictEqual(
        [...err.matchAll(/^line (\d+): /gm)].map(([, line]) => line),
        ["1", "3", "4", "6"]
      )
      assert.include(err, "published 2 events")
      assert.include(err, "4 lines were refused")
      assert.lengthOf(yield* payloads, 2)
    }).pipe(Effect.provide(gateway()))
  )

  it.scopedLive("refuses a line that is not UTF-8, by its number, and publishes nothing made up", () =>
    Effect.gen(function* () {
      const address = yield* url
      const text = `${status("a1", "busy")}\n${status("b?", "busy")}\n${status("a3", "busy")}\n`
      const input = Buffer.from(text)
      input[input.indexOf("?")] = 0xff
      const { code, err } = yield* run(["publish", "--keep-going", "--url", address], { input })
      assert.strictEqual(code, 1)
      assert.include(err, "line 2: is not UTF-8\n")
      assert.deepStrictEqual(yield* payloads, [
        { agentId: "a1", status: "busy" },
        { agentId: "a3", status: "busy" }
      ])
    }).pipe(Effect.provide(gateway()))
  )

  it.scopedLive("takes what watch --json writes: one gateway into another", () =>
    Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      yield* sync.broadcast({
        eventType: "stratix:agent_status_update",
        payload: { agentId: "a1", status: "busy" },
        timestamp: 7,
        requestId: "mine"
      })
      const from = yield* url
      yield* Effect.gen(function* () {
        const to = yield* url
        yield* background(() => shell(`stratix watch --json --url ${from} | stratix publish --url ${to}`))
        const log = yield* EventLog.EventLog
        yield* Effect.repeat(Effect.sleep("10 millis"), { until: () => log.head().index >= 1 })
        const [copy] = yield* latest
        assert.include(JSON.stringify(copy), '"timestamp":7,"requestId":"mine"')
      }).pipe(Effect.provide(gateway()))
    }).pipe(Effect.provide(gateway()))
  )

  it.scopedLive("Ctrl-C before it was done: 130, and how much was published", () =>
    Effect.gen(function* () {
      const address = yield* url
      const publish = yield* background(() => start(["publish", "--url", address]))
      publish.type(`${status("a1", "busy")}\n`)
      const log = yield* EventLog.EventLog
      yield* Effect.repeat(Effect.sleep("10 millis"), { until: () => log.head().index >= 1 })
      yield* Effect.sleep("100 millis")
      publish.child.kill("SIGINT")
      const { code, err } = yield* Effect.promise(() => publish.ended)
      assert.strictEqual(code, 130)
      assert.include(err, "1 event was published")
    }).pipe(Effect.provide(gateway()))
  )

  it.effect("no gateway there: one line, and what to do", () =>
    Effect.gen(function* () {
      const { code, err } = yield* run(["publish", "--url", "ws://127.0.0.1:4/", "agent-status", "a1", "busy"])
      assert.strictEqual(code, 1)
      assert.isTrue(isOneLine(err), err)
      assert.include(err, "stratix-status-sync serve")
    })
  )
})
