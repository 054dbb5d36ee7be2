import { once } from "node:events"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { connect } from "node:tls"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import WebSocket from "ws"
import { bundlePrograms } from "../../../scripts/lib/bundle-program.mjs"
import { freePort } from "../../../scripts/lib/port.mjs"
import { selfSigned } from "../support/certificate.js"
import { folder, replace } from "../support/files.js"
import { eventually } from "../support/redisLogs.js"
import { portOf, startProgram } from "../support/standAlone.js"
import * as Workers from "./gateway.js"

/** So many connections that none of two workers is without: one in 2,000 times it is. */
const MANY = 12

/** Connections that are open, and the codes they were closed with. */
const open = (port: number, count: number, headers: Record<string, string> = {}) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const codes: Array<number> = []
      const sockets = Array.from({ length: count }, () => new WebSocket(`ws://127.0.0.1:${port}/`, { headers }))
      for (const socket of sockets) socket.on("close", (code) => codes.push(code)).on("error", () => undefined)
      await Promise.all(sockets.map((socket) => once(socket, "open")))
      return { codes, sockets }
    }),
    ({ sockets }) =>
      Effect.sync(() => {
        for (const socket of sockets) socket.terminate()
      })
  )

const untilClosed = (codes: ReadonlyArray<number>, count: number) =>
  eventually(
    Effect.sync(() => codes.length),
    (closed) => closed >= count
  )

/** A request on a connection of its own, which any of the workers answers. */
const ask = (port: number, path: string, method = "GET") =>
  Effect.promise(async () => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method, headers: { connection: "close" } })
    return { status: answer.status, text: await answer.text() }
  })

/** The sum of a metric over its labels. */
const metric = (port: number, name: string) =>
  Effect.map(ask(port, "/metrics"), ({ text }) =>
    [...text.matchAll(new RegExp(`^${name}(?:\\{.*\\})? (\\S+)$`, "gm"))].reduce(
      (sum, [, value]) => sum + Number(value),
      0
    )
  )

const bearer = (name: string) => ({ authorization: `Bearer secret-of-${name}-0123456789` })

describe("a gateway with workers, to its operators", () => {
  it.scopedLive(
    "ends any connection, whichever worker is asked and has it",
    () =>
      Effect.gen(function* () {
        const { port } = yield* Workers.start()
        const { codes } = yield* open(port, MANY)
        const { text } = yield* ask(port, "/api/stratix/connections")
        const ids: ReadonlyArray<string> = JSON.parse(text).connections.map(({ id }: { id: string }) => id)
        assert.lengthOf(new Set(ids), MANY)
        for (const id of ids)
          assert.strictEqual((yield* ask(port, `/api/stratix/connections/${id}`, "DELETE")).status, 204)
        yield* untilClosed(codes, MANY)
        assert.deepStrictEqual([...new Set(codes)], [1012])
        for (const id of ids)
          assert.strictEqual((yield* ask(port, `/api/stratix/connections/${id}`, "DELETE")).status, 404)
      }),
    Workers.PATIENCE
  )

  it.scopedLive(
    "drains the one worker that gets SIGTERM, and leaves the clients of the others alone",
    () =>
      Effect.gen(function* () {
        const { port, program } = yield* Workers.start()
        const { codes, sockets } = yield* open(port, MANY)
        const [drains = 0] = Workers.workersOf(program)
        process.kill(drains, "SIGTERM")
        yield* Effect.promise(() => program.prints(/worker 3 is ready/))
        assert.isAbove(codes.length, 0)
        assert.isBelow(codes.length, MANY)
        assert.deepStrictEqual([...new Set(codes)], [1001])
        assert.lengthOf(
          sockets.filter(({ readyState }) => readyState === WebSocket.OPEN),
          MANY - codes.length
        )
      }),
    Workers.PATIENCE
  )

  it.scopedLive(
    "counts for all workers, and what one has counted that was killed",
    () =>
      Effect.gen(function* () {
        // Where the system chooses the port, those that replace all workers at once are given another.
        const chosen = yield* Effect.promise(freePort)
        const { port, program } = yield* Workers.start({ STRATIX_PORT: `${chosen}` })
        const { codes } = yield* open(port, MANY)
        assert.strictEqual(yield* metric(port, "stratix_joins_total"), MANY)
        for (const worker of Workers.workersOf(program)) process.kill(worker, "SIGKILL")
        yield* untilClosed(codes, MANY)
        yield* Effect.promise(() => program.prints(/worker 4 is ready/))
        yield* open(port, 3)
        assert.strictEqual(yield* metric(port, "stratix_joins_total"), MANY + 3)
        assert.strictEqual(yield* metric(port, "stratix_connections"), 3)
      }),
    Workers.PATIENCE
  )

  it.scopedLive(
    "reads the tokens again in each worker: who is taken out is out everywhere, and who is new is let in",
    () =>
      Effect.gen(function* () {
        const file = join(yield* folder, "tokens.json")
        const tokens = (...names: ReadonlyArray<string>) =>
          JSON.stringify(
            names.map((name) => ({ name, token: `secret-of-${name}-0123456789`, permissions: ["subscribe"] }))
          )
        yield* replace(file, tokens("stays", "goes"))
        const { port } = yield* Workers.start({ STRATIX_TOKENS_FILE: file })
        const stays = yield* open(port, MANY, bearer("stays"))
        const goes = yield* open(port, MANY, bearer("goes"))
        yield* replace(file, tokens("stays", "comes"))
        yield* untilClosed(goes.codes, MANY)
        assert.deepStrictEqual([...new Set(goes.codes)], [4401])
        assert.deepStrictEqual(stays.codes, [])
        yield* open(port, MANY, bearer("comes"))
      }),
    Workers.PATIENCE
  )

  it.scopedLive(
    "revokes in all workers what an application revokes in one",
    () =>
      Effect.gen(function* () {
        const place = yield* folder
        yield* Effect.promise(async () => {
          await bundlePrograms({ revoking: "../test/stratix-gateway/workers/revoking.ts" }, place)
          await writeFile(join(place, "package.json"), '{ "type": "module" }')
        })
        const token = (name: string) => ({
          name,
          token: `secret-of-${name}-0123456789`,
          permissions: ["subscribe", "publish"]
        })
        const program = yield* Effect.acquireRelease(
          Effect.sync(() =>
            startProgram(process.execPath, [join(place, "revoking.js")], {
              STRATIX_PORT: "0",
              STRATIX_WORKERS: "2",
              STRATIX_TOKENS: JSON.stringify(["stays", "goes"].map(token))
            })
          ),
          Workers.kill
        )
        const port = yield* Effect.promise(() => portOf(program))
        const stays = yield* open(port, MANY, bearer("stays"))
        const goes = yield* open(port, MANY, bearer("goes"))
        const [, pid] = Workers.workersOf(program)
        const { status } = yield* Effect.promise(() =>
          fetch(`http://127.0.0.1:${port}/api/stratix/events`, {
            method: "POST",
            headers: { "content-type": "application/json", ...bearer("stays") },
            body: JSON.stringify({ eventType: "stratix:revoke", payload: { name: "goes", pid } })
          })
        )
        assert.strictEqual(status, 202)
        yield* untilClosed(goes.codes, MANY)
        assert.deepStrictEqual([...new Set(goes.codes)], [4401])
        assert.deepStrictEqual(stays.codes, [])
      }),
    Workers.PATIENCE
  )

  it.scopedLive(
    "reads the certificate again in each worker",
    () =>
      Effect.gen(function* () {
        const place = yield* folder
        const [before, after] = [selfSigned("before"), selfSigned("after")]
        const [cert, key] = [join(place, "tls.crt"), join(place, "tls.key")]
        const write = (of: typeof before) =>
          Effect.promise(async () => {
            await writeFile(key, of.key)
            await writeFile(cert, of.cert)
          })
        yield* write(before)
        const { port } = yield* Workers.start({ STRATIX_TLS_CERT: cert, STRATIX_TLS_KEY: key })
        /** The certificates that are shown to so many clients. */
        const shown = Effect.map(
          Effect.forEach([...Array(MANY).keys()], () =>
            Effect.promise(async () => {
              const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false })
              await once(socket, "secureConnect")
              const { fingerprint256 } = socket.getPeerCertificate()
              socket.destroy()
              return fingerprint256
            })
          ),
          (all) => [...new Set(all)]
        )
        assert.deepStrictEqual(yield* shown, [before.fingerprint])
        yield* write(after)
        yield* eventually(shown, (all) => all.length === 1 && all[0] === after.fingerprint)
      }),
    Workers.PATIENCE
  )
})
