import { execFileSync } from "node:child_process"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import WebSocket from "ws"
import { eventually } from "./support/redisLogs.js"
import { type Program, portOf, startGateway } from "./support/standAlone.js"

/** Milliseconds for tests that start programs, on a machine that does much else. */
const PATIENCE = 180_000

/** Milliseconds after which a client gives up a request, and tries again. */
const UNANSWERED = 10_000

/** A gateway with workers, and where it listens. */
const gateway = (environment: Record<string, string> = {}) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const program = await startGateway({ STRATIX_WORKERS: "2", ...environment })
      return { program, port: await portOf(program) }
    }),
    ({ program }) =>
      Effect.promise(() => {
        program.child.kill("SIGKILL")
        return program.ended
      })
  )

const workersOf = ({ child }: Program): ReadonlyArray<number> =>
  execFileSync("ps", ["-o", "pid=", "--ppid", String(child.pid)], { encoding: "utf8" })
    .split("\n")
    .flatMap((line) => (line.trim() === "" ? [] : [Number(line)]))

/** A sync client that goes on where it was. */
class Screen {
  readonly numbers: Array<number> = []
  readonly modes: Array<string> = []
  closed = 0
  socket: WebSocket | undefined
  private cursor: string | undefined

  constructor(private readonly port: number) {
    this.connect()
  }

  private connect(): void {
    const query = this.cursor === undefined ? "" : `?since=${this.cursor}`
    // A connection that was on its way to a worker when it was killed may never be answered.
    const socket = new WebSocket(`ws://127.0.0.1:${this.port}/${query}`, "stratix.sync.v1", {
      handshakeTimeout: UNANSWERED
    })
    this.socket = socket
    socket.on("error", () => undefined)
    socket.on("close", () => {
      this.closed++
      setTimeout(() => this.connect(), 20)
    })
    socket.on("message", (data) => {
      const { eventType, payload } = JSON.parse(String(data))
      if (eventType === "stratix:sync") {
        this.modes.push(payload.mode)
        if (payload.count === 0) this.cursor = payload.to
      }
      for (const event of eventType === "stratix:events" ? payload.events : []) {
        this.numbers.push(event.payload.n)
        this.cursor = event.offset
      }
    })
  }
}

/** Publishes until it is told that the log has it, as the publisher client does: a worker may die before it answers. */
const publish = (port: number, n: number) =>
  Effect.tryPromise(async () => {
    const answer = await fetch(`http://127.0.0.1:${port}/api/stratix/events`, {
      method: "POST",
      headers: { "content-type": "application/json", "idempotency-key": `note-${n}` },
      body: JSON.stringify({ eventType: "stratix:note", payload: { n } }),
      signal: AbortSignal.timeout(UNANSWERED)
    })
    if (answer.status !== 202) throw new Error(`${answer.status} ${await answer.text()}`)
    await answer.text()
  }).pipe(Effect.eventually)

describe("a gateway with workers", () => {
  it.live(
    "of which one is killed -9 again and again: another takes its place, and its clients have everything once",
    () =>
      Effect.gen(function* () {
        const { port, program } = yield* gateway()
        const screens = Array.from({ length: 8 }, () => new Screen(port))
        yield* eventually(
          Effect.sync(() => screens.filter(({ modes }) => modes.length > 0).length),
          (count) => count === screens.length
        )
        let n = 0
        for (let round = 1; round <= 3; round++) {
          for (let i = 0; i < 20; i++) yield* publish(port, n++)
          const [dies = 0] = workersOf(program)
          process.kill(dies, "SIGKILL")
          for (let i = 0; i < 20; i++) yield* publish(port, n++)
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
        assert.lengthOf(workersOf(program), 2)
      }).pipe(Effect.scoped),
    PATIENCE
  )

  it.live(
    "is one gateway to its operators and in its limits, tells its clients that it goes away, and ends with its workers",
    () =>
      Effect.gen(function* () {
        const { port, program } = yield* gateway({ STRATIX_MAX_CONNECTIONS: "6" })
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
        const workers = workersOf(program)
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
    PATIENCE
  )

  it.live(
    "whose primary dies ends: no worker serves on without the log",
    () =>
      Effect.gen(function* () {
        const { program } = yield* gateway()
        const workers = workersOf(program)
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
    PATIENCE
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
    PATIENCE
  )
})
