import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises"
import * as Net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Tls from "node:tls"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Either, Layer, Redacted } from "effect"
import WebSocket from "ws"
import { NodeServer, StatusSync, StatusSyncServer } from "../../../src/stratix-gateway/index.js"
import { nextTurn, until, untilAnswer } from "../../support/waiting.js"
import { type Certificate, selfSigned } from "../support/certificate.js"
import { port, recorded, request } from "../support/gateway.js"

const folder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "stratix-tls-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true }))
)

const write = (path: string, text: string) =>
  Effect.promise(async () => {
    await writeFile(`${path}.new`, text)
    await rename(`${path}.new`, path)
  })

const paths = (at: string) => ({ tlsCert: join(at, "tls.crt"), tlsKey: join(at, "tls.key") })

const place = (at: string, { cert, key }: Certificate) =>
  Effect.zipRight(write(join(at, "tls.key"), key), write(join(at, "tls.crt"), cert))

const over = (lines: Array<string>, settings: Partial<StatusSyncServer.LoopbackSettings>) =>
  StatusSyncServer.layerLoopback({ port: 0, drainTimeout: "0 millis", ...settings }).pipe(
    Layer.orDie,
    Layer.provideMerge(recorded(lines))
  )

/** The certificate that somebody who connects now is shown. */
const shown = Effect.flatMap(port, (to) =>
  Effect.async<string>((resume) => {
    const socket = Tls.connect({ port: to, host: "127.0.0.1", rejectUnauthorized: false }, () => {
      resume(Effect.succeed(socket.getPeerCertificate().fingerprint256))
      socket.destroy()
    })
    socket.on("error", (error) => resume(Effect.die(error)))
  })
)

const untilShown = (certificate: Certificate) =>
  untilAnswer(shown, (fingerprint) => fingerprint === certificate.fingerprint)

/** A client that trusts this certificate and no other; its messages as they come. */
const connect = (certificate: Certificate) =>
  Effect.gen(function* () {
    const to = yield* port
    const messages: Array<string> = []
    const socket = yield* Effect.acquireRelease(
      Effect.async<WebSocket>((resume) => {
        const made = new WebSocket(`wss://127.0.0.1:${to}/`, { ca: certificate.cert })
        made.on("message", (data: Buffer) => messages.push(data.toString()))
        made.on("open", () => resume(Effect.succeed(made)))
        made.on("error", (error) => resume(Effect.die(error)))
      }),
      (made) => Effect.sync(() => made.terminate())
    )
    return { socket, messages }
  })

describe("TLS", () => {
  it.scopedLive("by certificate and key: WebSocket and HTTP are served over it, and the ready line says so", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const at = yield* folder
      const certificate = selfSigned("one")
      yield* place(at, certificate)
      yield* Effect.gen(function* () {
        const to = yield* port
        assert.isTrue(lines.some((line) => line.includes(` ready on wss://127.0.0.1:${to}/`)))
        const { messages } = yield* connect(certificate)
        const answer = yield* request("PUT", "/api/stratix/agents/a/status", {
          body: { status: "busy" },
          tls: { ca: certificate.cert }
        })
        assert.strictEqual(answer.status, 202)
        yield* until(() => messages.length === 2)
        assert.match(messages[1] ?? "", /"agentId":"a","status":"busy"/)
      }).pipe(Effect.provide(over(lines, paths(at))))
    })
  )

  it.scopedLive("with a key that is encrypted", () =>
    Effect.gen(function* () {
      const at = yield* folder
      const certificate = selfSigned("one", "open sesame")
      yield* place(at, certificate)
      yield* Effect.gen(function* () {
        assert.strictEqual(yield* shown, certificate.fingerprint)
      }).pipe(Effect.provide(over([], { ...paths(at), tlsPassphrase: Redacted.make("open sesame") })))
    })
  )

  it.scopedLive("reads the certificate again when it changes; who is connected stays so", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const at = yield* folder
      const [old, next] = [selfSigned("old"), selfSigned("next")]
      yield* place(at, old)
      yield* Effect.gen(function* () {
        const { messages, socket } = yield* connect(old)
        assert.strictEqual(yield* shown, old.fingerprint)
        yield* place(at, next)
        yield* untilShown(next)
        const { notifyAgentStatus } = yield* StatusSync.StatusSync
        yield* notifyAgentStatus("a", "busy")
        yield* until(() => messages.length === 2)
        assert.strictEqual(socket.readyState, WebSocket.OPEN)
        yield* connect(next)
      }).pipe(Effect.provide(over(lines, paths(at))))
      assert.isTrue(lines.some((line) => line.includes("read the certificate again")))
    })
  )

  it.scopedLive("notices it where Kubernetes swaps the link to a folder beside the file", () =>
    Effect.gen(function* () {
      const at = yield* folder
      const [old, next] = [selfSigned("old"), selfSigned("next")]
      const version = (name: string, certificate: Certificate) =>
        Effect.zipRight(
          Effect.promise(() => mkdir(join(at, name))),
          place(join(at, name), certificate)
        )
      const swap = (name: string) =>
        Effect.promise(async () => {
          await symlink(name, join(at, "..data_tmp"))
          await rename(join(at, "..data_tmp"), join(at, "..data"))
        })
      yield* version("..2026_01", old)
      yield* swap("..2026_01")
      yield* Effect.promise(async () => {
        for (const file of ["tls.crt", "tls.key"]) await symlink(join("..data", file), join(at, file))
      })
      yield* Effect.gen(function* () {
        assert.strictEqual(yield* shown, old.fingerprint)
        yield* version("..2026_02", next)
        yield* swap("..2026_02")
        yield* untilShown(next)
      }).pipe(Effect.provide(over([], paths(at))))
    })
  )

  it.scopedLive("keeps the certificate it has while the new one cannot be used, and says so", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const at = yield* folder
      const [old, next] = [selfSigned("old"), selfSigned("next")]
      yield* place(at, old)
      yield* Effect.gen(function* () {
        const complaints = () => lines.filter((line) => line.startsWith("ERROR")).length
        // The certificate is there before its key.
        yield* write(paths(at).tlsCert, next.cert)
        yield* until(() => complaints() === 1)
        assert.match(
          lines.find((line) => line.startsWith("ERROR")) ?? "",
          /tls\.crt and .*tls\.key cannot be used: .*; still using the certificate read before/
        )
        assert.strictEqual(yield* shown, old.fingerprint)
        yield* Effect.promise(() => rm(paths(at).tlsKey))
        yield* until(() => complaints() === 2)
        assert.isTrue(
          lines.some((line) => /tls\.key does not exist; still using the certificate read before/.test(line))
        )
        assert.strictEqual(yield* shown, old.fingerprint)
        yield* write(paths(at).tlsKey, next.key)
        yield* untilShown(next)
      }).pipe(Effect.provide(over(lines, paths(at))))
    })
  )

  it.scopedLive("does not start with files that cannot be used, and says which", () =>
    Effect.gen(function* () {
      const at = yield* folder
      const start = (settings: Partial<StatusSyncServer.LoopbackSettings>) =>
        Effect.either(
          Effect.scoped(Layer.build(StatusSyncServer.layerLoopback({ port: 0, ...settings }))).pipe(
            Effect.provide(recorded([]))
          )
        )
      const missing = yield* start(paths(at))
      assert.isTrue(
        Either.isLeft(missing) &&
          missing.left._tag === "TlsError" &&
          /tls\.crt does not exist/.test(missing.left.message)
      )
      yield* write(paths(at).tlsKey, selfSigned("one").key)
      yield* write(paths(at).tlsCert, selfSigned("two").cert)
      const mismatch = yield* start(paths(at))
      assert.isTrue(
        Either.isLeft(mismatch) && mismatch.left._tag === "TlsError" && mismatch.left.reason === "CertificateInvalid"
      )
      const half = yield* start({ tlsCert: paths(at).tlsCert })
      assert.isTrue(Either.isLeft(half) && half.left._tag === "ConfigInvalid")
    })
  )

  it.scopedLive("ends a socket that is silent or speaks no TLS, and nothing else", () =>
    Effect.gen(function* () {
      const at = yield* folder
      const certificate = selfSigned("one")
      yield* place(at, certificate)
      yield* Effect.gen(function* () {
        const { socket } = yield* connect(certificate)
        const to = yield* port
        for (const text of ["", "GET / HTTP/1.1\r\nhost: x\r\n\r\n", "\0".repeat(100)]) {
          const answer = yield* Effect.async<string>((resume) => {
            let got = ""
            const raw = Net.connect(to, "127.0.0.1", () => raw.write(text))
            raw.on("data", (data: Buffer) => {
              got += data.toString("latin1")
            })
            raw.on("error", () => undefined)
            raw.on("close", () => resume(Effect.succeed(got)))
          })
          assert.notInclude(answer, "HTTP/1.1")
        }
        assert.strictEqual(socket.readyState, WebSocket.OPEN)
        const server = yield* NodeServer.NodeServer
        const open = () =>
          Effect.async<number>((resume) => {
            server.getConnections((_error, count) => resume(Effect.succeed(count)))
          })
        while ((yield* open()) > 1) yield* nextTurn
      }).pipe(Effect.provide(over([], { ...paths(at), handshakeTimeout: "200 millis" })))
    })
  )
})
