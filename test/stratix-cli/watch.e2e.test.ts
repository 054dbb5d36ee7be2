import { stripVTControlCharacters } from "node:util"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { Authenticator, StatusSync } from "stratix-status-sync"
import * as Network from "../stratix-client/support/Network.js"
import {
  background,
  gateway,
  interrupt,
  isOneLine,
  json,
  port,
  proxy,
  run,
  shell,
  start,
  startInTerminal,
  until,
  url
} from "./support/cli.js"

const ESC = "\u001b"
const LIVE = /● live/

const watching = (...args: ReadonlyArray<string>) => background(() => start(["watch", "--url", ...args]))

describe("watch", () => {
  it.scopedLive("in a pipe, --json begins with the state and goes on with every event, as on the wire", () =>
    Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      yield* sync.notifyAgentStatus("a1", "busy")
      yield* sync.notifyAgentStatus("a1", "online")
      const watch = yield* watching(yield* url, "--json")
      yield* until(watch, LIVE, "err")
      const offset = yield* sync.broadcastUnknown({
        eventType: "stratix:x",
        payload: { json: 1 },
        timestamp: 5,
        requestId: "mine"
      })
      yield* until(watch, /"mine"/)
      const { code, err, out } = yield* interrupt(watch)
      const [first, second, ...more] = json(out)
      assert.deepInclude(first, { payload: { agentId: "a1", status: "online" } })
      assert.deepStrictEqual(second, {
        eventType: "stratix:x",
        payload: { json: 1 },
        timestamp: 5,
        requestId: "mine",
        offset
      })
      assert.deepStrictEqual(more, [])
      assert.strictEqual(err, `● live: ${yield* url}\n`)
      assert.strictEqual(code, 0)
    }).pipe(Effect.provide(gateway()))
  )

  it.scopedLive("in a terminal it is coloured, unless NO_COLOR is set; Ctrl-C ends it well", () =>
    Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      yield* sync.notifyCommandStatus("c1", "a1", "failed", 40, undefined, "no space")
      for (const env of [{}, { NO_COLOR: "1" }]) {
        const address = yield* url
        const watch = yield* background(() => startInTerminal(["watch", "--url", address], { env }))
        yield* until(watch, /no space/)
        yield* until(watch, /live/)
        watch.type("\u0003")
        const { code, out } = yield* Effect.promise(() => watch.ended)
        assert.strictEqual(code, 0)
        const isColoured = "NO_COLOR" in env === false
        assert.strictEqual(out.includes(`${ESC}[31mfailed${ESC}[0m`), isColoured)
        assert.strictEqual(out.includes(ESC), isColoured)
        assert.match(
          stripVTControlCharacters(out),
          /\d\d:\d\d:\d\d\.\d{3} {2}command c1 {2}failed {2}40% {2}by a1 {2}no space\r\n/
        )
      }
    }).pipe(Effect.provide(gateway()))
  )

  it.scopedLive("the filters and --no-snapshot leave out what they say", () =>
    Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      yield* sync.notifyAgentStatus("a1", "busy")
      const watch = yield* watching(
        yield* url,
        "--json",
        "--no-snapshot",
        "--events",
        "agent_status_update",
        "--agents",
        "a1,a2"
      )
      yield* until(watch, LIVE, "err")
      yield* sync.notifyAgentStatus("a3", "busy")
      yield* sync.notifyCommandStatus("c1", "a1", "running")
      yield* sync.notifyAgentStatus("a2", "offline")
      yield* until(watch, /a2/)
      const { out } = yield* interrupt(watch)
      assert.deepStrictEqual(
        json(out).map(({ payload }) => payload),
        [{ agentId: "a2", status: "offline" }]
      )
    }).pipe(Effect.provide(gateway()))
  )

  it.scopedLive("after a cut it comes back by itself, says so, and shows what was missed, once", () =>
    Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      const way = yield* proxy(yield* port)
      yield* sync.notifyAgentStatus("a0", "online")
      const watch = yield* watching(way.url, "--json")
      yield* until(watch, LIVE, "err")
      way.open(false)
      yield* until(watch, /trying again/, "err")
      for (const id of ["a1", "a2", "a1"]) yield* sync.notifyAgentStatus(id, "busy")
      way.open(true)
      yield* until(watch, /live again/, "err")
      yield* sync.notifyAgentStatus("a3", "busy")
      yield* until(watch, /a3/)
      const { out } = yield* interrupt(watch)
      assert.deepStrictEqual(
        [...out.matchAll(/"agentId":"(a\d)"/g)].map(([, id]) => id),
        ["a0", "a1", "a2", "a1", "a3"]
      )
    }).pipe(Effect.provide(gateway()))
  )

  it.scopedLive("says that the gateway says nothing, and that it is live again", () =>
    Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      const network = yield* Network.make(yield* port)
      const watch = yield* watching(`ws://127.0.0.1:${network.port}/`, "--json")
      yield* until(watch, LIVE, "err")
      yield* network.freeze
      yield* until(watch, /● the gateway says nothing since/, "err")
      yield* sync.notifyAgentStatus("a1", "busy")
      yield* network.thaw
      yield* until(watch, /● live again/, "err")
      yield* until(watch, /"a1"/)
    }).pipe(Effect.provide(gateway({ keepAliveInterval: "200 millis" })))
  )

  it.scopedLive("ends without a word when nobody reads any more: watch --json | head -1", () =>
    Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      yield* sync.notifyAgentStatus("a1", "busy")
      const address = yield* url
      const piped = yield* background(() =>
        shell(`stratix watch --json --url ${address} | head -1; echo "code \${PIPESTATUS[0]}"`)
      )
      yield* until(piped, /a1/)
      yield* until(piped, LIVE, "err")
      // The pipe is found to be broken by whoever writes to it.
      const telling = yield* Effect.forkScoped(
        Effect.forever(Effect.zipRight(sync.notifyAgentStatus("a1", "online"), Effect.sleep("20 millis")))
      )
      const { err, out } = yield* Effect.promise(() => piped.ended)
      yield* telling.interruptAsFork(telling.id())
      assert.match(out, /^\{[^\n]+\}\ncode 0\n$/)
      assert.strictEqual(err, `● live: ${address}\n`)
    }).pipe(Effect.provide(gateway()))
  )

  it.scopedLive("a reader that stands still is no queue: what it missed comes as the newest of each key", () =>
    Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      const address = yield* url
      const watch = yield* background(() => start(["watch", "--json", "--url", address]))
      yield* until(watch, LIVE, "err")
      watch.child.stdout?.pause()
      const filler = "x".repeat(1000)
      const events = Array.from({ length: 30_000 }, (_, i) => ({
        eventType: "stratix:command_status_update",
        payload: { commandId: `c${i % 50}`, agentId: "a1", commandStatus: "running", result: { i, filler } }
      }))
      for (let i = 0; i < events.length; i += 500) {
        yield* sync.broadcastAllUnknown(events.slice(i, i + 500))
        // The gateway writes between two turns.
        yield* Effect.sleep(0)
      }
      watch.child.stdout?.resume()
      yield* until(watch, /"i":29999,/)
      const { err, out } = yield* interrupt(watch)
      const offsets = json(out)
      assert.isBelow(offsets.length, events.length)
      assert.include(err, "fell behind")
    }).pipe(Effect.provide(gateway({ historyCapacity: 1000 })))
  )

  it.scopedLive("what others write cannot move the cursor of the terminal", () =>
    Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      yield* sync.notifyAgentCreate(`a${ESC}[2J`, "N\u009b2Jame\n", "t\u202e")
      for (const more of [[], ["--json"]]) {
        const watch = yield* watching(yield* url, ...more)
        yield* until(watch, LIVE, "err")
        const { out } = yield* interrupt(watch)
        assert.include(out, "\\u001b[2J")
        // biome-ignore lint/suspicious/noControlCharactersInRegex: none of them may be there
        assert.notMatch(out.slice(0, -1), /[\u0000-\u001f\u007f-\u009f\u202e]/)
      }
    }).pipe(Effect.provide(gateway()))
  )

  // Characters that a header can carry and a subprotocol cannot.
  const secret = "se/cret+token-0123456789abcdef=="
  const tokens = Redacted.make(JSON.stringify([{ name: "screen", token: secret, permissions: ["subscribe"] }]))
  it.scopedLive("shows the token of the environment, prints it nowhere, and says what is wrong with another", () =>
    Effect.gen(function* () {
      const address = yield* url
      const watch = yield* background(() => start(["watch", "--url", address], { env: { STRATIX_TOKEN: secret } }))
      yield* until(watch, LIVE, "err")
      const { err, out } = yield* interrupt(watch)
      assert.notInclude(out + err, secret)

      const none = yield* run(["watch", "--url", address])
      assert.strictEqual(none.code, 1)
      assert.isTrue(isOneLine(none.err), none.err)
      assert.include(none.err, "STRATIX_TOKEN")
      const wrong = yield* run(["watch", "--url", address, "--token", "another-0123456789abcdef"])
      assert.strictEqual(wrong.code, 1)
      assert.isTrue(isOneLine(wrong.err), wrong.err)
      assert.include(wrong.err, "refuses the token")
      assert.notInclude(wrong.err, "another-0123456789abcdef")

      yield* Effect.flatMap(Authenticator.Authenticator, ({ revoke }) => revoke("screen")).pipe(
        Effect.when(() => false)
      )
    }).pipe(Effect.provide(gateway({ tokens })))
  )

  it.scopedLive("a token that is revoked ends it with a word", () =>
    Effect.gen(function* () {
      const { revoke } = yield* Authenticator.Authenticator
      const address = yield* url
      const watch = yield* background(() => start(["watch", "--url", address], { env: { STRATIX_TOKEN: secret } }))
      yield* until(watch, LIVE, "err")
      yield* revoke("screen")
      const { code, err } = yield* Effect.promise(() => watch.ended)
      assert.strictEqual(code, 1)
      assert.include(err, "refuses the token")
      assert.include(err, "(4401)")
    }).pipe(Effect.provide(gateway({ tokens })))
  )

  it.effect("says once that no gateway answers, what to do, and goes on trying", () =>
    Effect.gen(function* () {
      const watch = yield* background(() => start(["watch", "--url", "ws://127.0.0.1:1/"]))
      yield* until(watch, /trying again/, "err")
      const { code, err } = yield* interrupt(watch)
      assert.strictEqual(code, 0)
      assert.include(err, 'no gateway answers at ws://127.0.0.1:1/: start one with "stratix-status-sync serve"')
    }).pipe(Effect.scoped)
  )
})
