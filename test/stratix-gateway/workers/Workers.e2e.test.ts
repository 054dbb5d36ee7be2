import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import WebSocket from "ws"
import { eventually } from "../support/redisLogs.js"
import { startGateway } from "../support/standAlone.js"
import * as Workers from "./gateway.js"

describe("a gateway with workers", () => {
  it.live(
    "of which one is killed -9 again and again: another takes its place, and its clients have everything once",
    () =>
      Effect.gen(function* () {
        const { port, program } = yield* Workers.start()
        const screens = yield* Workers.screens(port, 8)
        yield* eventually(
          Effect.sync(() => screens.filter(({ modes }) => modes.length > 0).length),
          (count) => count === screens.length
        )
        let n = 0
        for (let round = 1; round <= 3; round++) {
          for (let i = 0; i < 20; i++) yield* Workers.publish(port, `note-${n}`, Workers.note(n++))
          const [dies = 0] = Workers.workersOf(program)
          process.kill(dies, "SIGKILL")
          for (let i = 0; i < 20; i++) yield* Workers.publish(port, `note-${n}`, Workers.note(n++))
          yield* Effect.promise(() => program.prints(new RegExp(`worker ${2 + round} is ready`)))
        }
        const expected = Array.from({ length: n }, (_, i) => i)
        yield* eventually(
          Effect.sync(() => Math.min(...screens.map(({ numbers }) => numbers.length))),
          (count) => count >= n
        )
        for (const { modes, numbers } of screens) {
          assert.deepStrictEqual(numbers, expected)
          assert.deepStrictEqual(modes.slice(1), modes.slice(1).fill("resume"))
        }
        assert.isAbove(
          screens.reduce((sum, { closed }) => sum + closed, 0),
          0
        )
        assert.lengthOf(Workers.workersOf(program), 2)
      }).pipe(Effect.scoped),
    Workers.PATIENCE
  )

  it.live(
    "is one gateway to its operators and in its limits, tells its clients that it goes away, and ends with its workers",
    () =>
      Effect.gen(function* () {
        const { port, program } = yield* Workers.start({ STRATIX_MAX_CONNECTIONS: "6" })
        const codes: Array<number> = []
        const sockets = Array.from({ length: 6 }, () => new WebSocket(`ws://127.0.0.1:${port}/`))
        for (const socket of sockets) socket.on("close", (code) => codes.push(code))
        yield* eventually(
          Effect.sync(() => sockets.filter(({ readyState }) => readyState === WebSocket.OPEN).length),
          (count) => count === sockets.length
        )
        const url = `http://127.0.0.1:${port}`
        const get = (path: string) => Effect.promise(() => fetch(`${url}${path}`, { headers: { connection: "close" } }))
        const json = (path: string) => Effect.flatMap(get(path), (answer) => Effect.promise(() => answer.json()))
        // Both workers answer, and either for both.
        for (let i = 0; i < 4; i++) {
          const { connections } = yield* json("/api/stratix/connections")
          const ids = new Set(connections.map(({ id }: { id: string }) => id))
          assert.strictEqual(ids.size, 6)
          const { findings } = yield* json("/api/stratix/diagnostics")
          const found = findings.map(({ what }: { what: string }) => what)
          assert.includeMembers(found, ["2 of 2 answer", "6 of at most 6 are open (STRATIX_MAX_CONNECTIONS)"])
          for (const path of ["/healthz", "/readyz"]) {
            const { status, worker } = yield* json(path)
            assert.strictEqual(status, "ok")
            assert.include([1, 2], worker)
          }
          const text = yield* Effect.flatMap(get("/metrics"), (answer) => Effect.promise(() => answer.text()))
          assert.match(text, /^stratix_connections\{state="live"\} 6$/m)
          const refused = new WebSocket(`ws://127.0.0.1:${port}/`)
          const error = yield* Effect.promise(
            () =>
              new Promise<Error>((resolve) => refused.on("error", resolve).on("open", () => resolve(new Error("open"))))
          )
          assert.match(error.message, /503/)
        }
        const workers = Workers.workersOf(program)
        program.child.kill("SIGTERM")
        const { output } = yield* Effect.promise(() => program.ended)
        assert.match(output, /Stratix gateway stopped/)
        assert.notMatch(output, /takes its place/)
        assert.strictEqual([...output.matchAll(/ready on ws:/g)].length, 1)
        yield* eventually(
          Effect.sync(() => codes),
          (all) => all.length === sockets.length
        )
        assert.deepStrictEqual([...new Set(codes)], [1001])
        for (const pid of workers) assert.throws(() => process.kill(pid, 0))
      }).pipe(Effect.scoped),
    Workers.PATIENCE
  )

  it.live(
    "whose primary dies ends: no worker serves on without the log",
    () =>
      Effect.gen(function* () {
        const { program } = yield* Workers.start()
        const workers = Workers.workersOf(program)
        program.child.kill("SIGKILL")
        yield* eventually(
          Effect.sync(() =>
            workers.filter((pid) => {
              try {
                return process.kill(pid, 0)
              } catch {
                return false
              }
            })
          ),
          (left) => left.length === 0
        )
      }).pipe(Effect.scoped),
    Workers.PATIENCE
  )

  it.live(
    "does not start where its workers cannot, and says why",
    () =>
      Effect.gen(function* () {
        const program = yield* Effect.promise(() =>
          startGateway({ STRATIX_WORKERS: "2", STRATIX_TOKENS_FILE: "/nowhere/tokens.json" })
        )
        const { code, output } = yield* Effect.promise(() => program.ended)
        assert.notStrictEqual(code, 0)
        assert.match(output, /nowhere/)
        assert.match(output, /ended before it was ready/)
      }),
    Workers.PATIENCE
  )
})
