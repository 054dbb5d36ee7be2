import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import WebSocket from "ws"
import { folder } from "./log/file/files.js"
import { RedisServer } from "./support/redis.js"
import { eventually, newNamespace } from "./support/redisLogs.js"
import { portOf, startGateway } from "./support/standAlone.js"

/** Milliseconds for tests that start programs, on a machine that does much else. */
const PATIENCE = 180_000

let server: RedisServer
beforeAll(async () => {
  server = await RedisServer.start()
})
afterAll(() => server.end())

/** A gateway in a process of its own, on the shared log. */
const gateway = (namespace: string, environment: Record<string, string> = {}) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const program = await startGateway({
        STRATIX_EVENT_LOG: server.url,
        STRATIX_EVENT_LOG_NAMESPACE: namespace,
        STRATIX_EVENT_LOG_TIMEOUT: "30 seconds",
        ...environment
      })
      return { program, port: await portOf(program) }
    }),
    ({ program }) =>
      Effect.promise(() => {
        program.child.kill("SIGKILL")
        return program.ended
      })
  )

/** A sync client that goes on where it was. */
class Screen {
  readonly numbers: Array<number> = []
  readonly modes: Array<string> = []
  private cursor: string | undefined

  connect(port: number): WebSocket {
    const query = this.cursor === undefined ? "" : `?since=${this.cursor}`
    const socket = new WebSocket(`ws://127.0.0.1:${port}/${query}`, "stratix.sync.v1", { perMessageDeflate: false })
    socket.on("error", () => undefined)
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
    return socket
  }
}

const PAD = "x".repeat(20_000)

const publish = (port: number, n: number) =>
  Effect.promise(async () => {
    const answer = await fetch(`http://127.0.0.1:${port}/api/stratix/events`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ eventType: "stratix:note", payload: { n, pad: PAD } })
    })
    assert.strictEqual(answer.status, 202)
    await answer.text()
  })

describe("many gateways, one of which is killed -9", () => {
  it.live(
    "with bytes half sent: its client resumes at another, with nothing lost and nothing twice",
    () =>
      Effect.gen(function* () {
        const namespace = newNamespace()
        const [dies, stays] = yield* Effect.all([gateway(namespace), gateway(namespace)])
        const screen = new Screen()
        const socket = screen.connect(dies.port)
        yield* eventually(
          Effect.sync(() => screen.modes.length),
          (count) => count === 1
        )
        yield* publish(stays.port, 0)
        yield* eventually(
          Effect.sync(() => screen.numbers.length),
          (count) => count === 1
        )
        // It stops reading in the middle of a stream that is longer than what the system keeps for it.
        socket.pause()
        const COUNT = 400
        for (let n = 1; n < COUNT; n++) yield* publish(stays.port, n)
        dies.program.child.kill("SIGKILL")
        yield* Effect.promise(() => dies.program.ended)
        socket.resume()
        yield* Effect.promise(() => new Promise((resolve) => socket.once("close", resolve)))
        assert.isBelow(screen.numbers.length, COUNT)

        screen.connect(stays.port)
        yield* eventually(
          Effect.sync(() => screen.numbers.length),
          (count) => count >= COUNT
        )
        assert.deepStrictEqual([...new Set(screen.modes)], ["snapshot", "resume"])
        assert.deepStrictEqual(
          screen.numbers,
          Array.from({ length: COUNT }, (_, n) => n)
        )
      }).pipe(Effect.scoped),
    PATIENCE
  )
})

describe("a token that is taken out of the file that all gateways read", () => {
  it.live(
    "closes its connections at each of them within two seconds, and no others",
    () =>
      Effect.gen(function* () {
        const file = join(yield* folder, "tokens.json")
        const token = (name: string) => ({ name, token: `secret-of-${name}-0123456789`, permissions: ["subscribe"] })
        const write = (...names: ReadonlyArray<string>) =>
          Effect.promise(() => writeFile(file, JSON.stringify(names.map(token))))
        const going = ["goes-1", "goes-2", "goes-3", "goes-4", "goes-5"]
        yield* write("stays", ...going)
        const namespace = newNamespace()
        const both = yield* Effect.all([
          gateway(namespace, { STRATIX_TOKENS_FILE: file }),
          gateway(namespace, { STRATIX_TOKENS_FILE: file })
        ])
        const open = (port: number, name: string) =>
          Effect.promise(
            () =>
              new Promise<WebSocket>((resolve, reject) => {
                const headers = { authorization: `Bearer ${token(name).token}` }
                const socket = new WebSocket(`ws://127.0.0.1:${port}/`, { headers })
                socket.on("error", reject)
                socket.on("open", () => resolve(socket))
              })
          )
        const stay = yield* Effect.forEach(both, ({ port }) => open(port, "stays"))
        const closed = yield* Effect.forEach(going, (name) =>
          Effect.forEach(both, ({ port }) =>
            Effect.map(open(port, name), (socket) => new Promise<number>((resolve) => socket.on("close", resolve)))
          )
        )
        const millis: Array<number> = []
        for (const [i, sockets] of closed.entries()) {
          const began = performance.now()
          yield* write("stays", ...going.slice(i + 1))
          assert.deepStrictEqual(yield* Effect.promise(() => Promise.all(sockets)), [4401, 4401])
          millis.push(performance.now() - began)
        }
        // The fastest: another program may have had the machine during any of them, but a look once a minute is never so soon.
        assert.isBelow(Math.min(...millis), 2000)
        assert.deepStrictEqual(
          stay.map(({ readyState }) => readyState),
          [WebSocket.OPEN, WebSocket.OPEN]
        )
        for (const socket of stay) socket.terminate()
      }).pipe(Effect.scoped),
    PATIENCE
  )
})
