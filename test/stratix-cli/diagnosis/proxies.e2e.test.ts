/** `doctor --url`, against gateways behind proxies that are set up wrongly, and behind one that is not. */
import { createServer, type IncomingMessage, request, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import type { Duplex } from "node:stream"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Option, type Scope, TestClock } from "effect"
import * as FromOutside from "../../../src/stratix-cli/diagnosis/FromOutside.js"
import * as Gateway from "../../../src/stratix-cli/Gateway.js"
import { StatusSyncConfig } from "../../../src/stratix-gateway/index.js"
import * as BehindProxy from "../../../src/stratix-gateway/operations/diagnosis/BehindProxy.js"
import type { Finding } from "../../../src/stratix-gateway/operations/diagnosis/Finding.js"
import { gateway, port, run, url } from "../support/cli.js"

interface Behaviour {
  /** The path that the gateway sees. */
  readonly path?: (path: string) => string
  readonly headers?: (headers: IncomingMessage["headers"]) => IncomingMessage["headers"]
  /** Whether upgrades are passed on as such. */
  readonly upgrades?: boolean
  /** Passes an answer on only when it is whole; told of each that it has the head of. */
  readonly buffers?: (path: string) => void
  /** Where it takes the gateway to be. */
  readonly to?: number
}

/** A proxy, which is as good as its settings. */
const proxy = (
  gatewayPort: number,
  { buffers, headers = (same) => same, path = (same) => same, to = gatewayPort, upgrades = true }: Behaviour
): Effect.Effect<string, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.async<Server>((resume) => {
      const passOn = (message: IncomingMessage) =>
        request({ port: to, path: path(message.url ?? ""), method: message.method, headers: headers(message.headers) })
      const server = createServer((message, response) => {
        const { connection: _, upgrade: __, ...rest } = message.headers
        message.headers = rest
        passOn(message)
          .on("response", (answer) => {
            const chunks: Array<Buffer> = []
            response.on("close", () => answer.destroy())
            if (buffers === undefined) answer.pipe(response.writeHead(answer.statusCode ?? 0, answer.headers))
            else
              answer
                .on("data", (chunk: Buffer) => chunks.push(chunk))
                .on("end", () => response.writeHead(answer.statusCode ?? 0, answer.headers).end(Buffer.concat(chunks)))
            buffers?.(message.url ?? "")
          })
          .on("error", () => response.writeHead(502).end("<html>Bad Gateway</html>"))
          .end()
      })
      if (upgrades) {
        server.on("upgrade", (message: IncomingMessage, socket: Duplex) => {
          const refuse = (answer: IncomingMessage) => {
            socket.write(`HTTP/1.1 ${answer.statusCode} ${answer.statusMessage}\r\nconnection: close\r\n\r\n`)
            answer.pipe(socket)
          }
          passOn(message)
            .on("upgrade", (answer, behind) => {
              const lines = Object.entries(answer.headers).map(([name, value]) => `${name}: ${value}\r\n`)
              socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join("")}\r\n`)
              socket.pipe(behind).pipe(socket)
              socket.on("error", () => behind.destroy())
              behind.on("error", () => socket.destroy())
            })
            .on("response", refuse)
            .on("error", () => socket.end("HTTP/1.1 502 Bad Gateway\r\nconnection: close\r\n\r\n"))
            .end()
        })
      }
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.async<void>((resume) => {
        server.closeAllConnections()
        server.close(() => resume(Effect.void))
      })
  ).pipe(Effect.map((server) => `ws://127.0.0.1:${(server.address() as AddressInfo).port}`))

const without = (name: string) => (headers: IncomingMessage["headers"]) => {
  const { [name]: _, ...rest } = headers
  return rest
}

const lines = (findings: ReadonlyArray<Finding>) =>
  findings.map(({ about, instead = "", level, what }) => `${level} ${about} ${what}\n  ${instead}`).join("\n")

/** What the doctor finds, in this process. */
const doctor = (address: string, origin?: string) =>
  Gateway.resolve({ url: Option.some(address), token: Option.none(), tenant: Option.none() }).pipe(
    Effect.flatMap((resolved) => FromOutside.look(resolved, origin)),
    Effect.map(lines)
  )

describe("doctor --url", () => {
  it.scopedLive("has nothing to say against a gateway, straight or through a proxy that is set up well", () =>
    Effect.gen(function* () {
      const straight = yield* run(["doctor", "--url", yield* url])
      const through = yield* run(["doctor", "--url", `${yield* proxy(yield* port, {})}/`])
      for (const { code, out } of [straight, through]) {
        assert.match(out, /^ok +websocket +opens, with stratix\.sync\.v1$/m)
        assert.match(out, /^ok +http +the gateway answers, version \d/m)
        assert.match(out, /^ok +stream +the event stream comes through/m)
        assert.notMatch(out, /^(problem|warning)/m)
        assert.strictEqual(code, 0)
      }
    }).pipe(Effect.provide(gateway()))
  )

  const mistakes: ReadonlyArray<readonly [name: string, path: string, Behaviour, RegExp, string?]> = [
    ["does not pass the upgrade on", "/", { upgrades: false }, /plain request \(4\d\d\).*\n.*proxy_http_version 1\.1/],
    [
      "loses the subprotocol",
      "/",
      { headers: without("sec-websocket-protocol") },
      /subprotocol was lost.*\n.*Sec-WebSocket-Protocol/
    ],
    ["keeps its prefix", "/stratix/", {}, /under another path \(404\).*\n.*STRATIX_PATH=\/stratix\//],
    ["cannot reach the gateway", "/", { to: 1 }, /cannot reach the gateway \(502\)/],
    [
      "keeps a Host that is not listed",
      "/",
      { headers: (headers) => ({ ...headers, host: "status.example" }) },
      /refused \(403\).*\n.*STRATIX_ALLOWED_HOSTS/
    ],
    [
      "is asked by pages of an origin that is not listed",
      "/",
      {},
      /refused \(403\).*\n.*STRATIX_ALLOWED_ORIGINS=https:\/\/dashboard\.example/,
      "https://dashboard.example"
    ],
    [
      "passes on nothing but the WebSocket",
      "/",
      { path: (path) => (path === "/healthz" ? "/elsewhere" : path) },
      /healthz is answered with 404.*\n.*everything below the path/
    ]
  ]
  for (const [name, path, behaviour, expected, origin] of mistakes) {
    it.scopedLive(`names the mistake of a proxy that ${name}`, () =>
      Effect.gen(function* () {
        const found = yield* doctor(`${yield* proxy(yield* port, behaviour)}${path}`, origin)
        assert.match(found, expected)
        assert.match(found, /^problem /m)
      }).pipe(Effect.provide(gateway()))
    )
  }

  it.scoped("names the mistake of a proxy that holds event streams back", () =>
    Effect.gen(function* () {
      const held = yield* Deferred.make<void>()
      const buffers = (path: string) => {
        if (path.endsWith("/stream")) Deferred.unsafeDone(held, Exit.void)
      }
      const found = yield* Effect.fork(doctor(`${yield* proxy(yield* port, { buffers })}/`))
      yield* Deferred.await(held)
      // As long as it is waited for an answer.
      yield* TestClock.adjust("15 seconds")
      assert.match(yield* Fiber.join(found), /^warning stream .*held back.*\n.*proxy_buffering off/m)
    }).pipe(Effect.provide(gateway()))
  )

  it.scopedLive("says where nothing answers, and what a page or a redirect there means", () =>
    Effect.gen(function* () {
      const server = yield* Effect.acquireRelease(
        Effect.async<Server>((resume) => {
          const made = createServer((message, response) =>
            message.url === "/moved" ? response.writeHead(308, { location: "/there" }).end() : response.end("<html>")
          )
          made.listen(0, "127.0.0.1", () => resume(Effect.succeed(made)))
        }),
        (made) => Effect.sync(() => made.close())
      )
      const address = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`
      assert.match(yield* doctor("ws://127.0.0.1:1/"), /^problem address no gateway answers/m)
      assert.match(yield* doctor(`${address}/`), /answered with a page \(200\)/)
      assert.match(yield* doctor(`${address}/moved`), /redirect to \/there/)
    })
  )
})

describe("settings behind a proxy", () => {
  const findings = (settings: Partial<StatusSyncConfig.Settings>) =>
    Effect.map(StatusSyncConfig.make(settings), (made) => lines(BehindProxy.inSettings(made)))

  it.effect("are right where the proxy and its hosts are listed", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* findings({}), "")
      assert.strictEqual(yield* findings({ trustedProxies: ["127.0.0.1"], allowedHosts: ["status.example"] }), "")
    })
  )

  it.effect("are told where everything is trusted, no host is listed, or the heart beats too slowly for a proxy", () =>
    Effect.gen(function* () {
      assert.match(
        yield* findings({ trustedProxies: ["0.0.0.0/0"], allowedHosts: ["status.example"] }),
        /^problem proxy every address is a trusted proxy/
      )
      assert.match(
        yield* findings({ trustedProxies: ["127.0.0.1"] }),
        /^warning proxy .*403.*\n.*STRATIX_ALLOWED_HOSTS/
      )
      assert.match(
        yield* findings({
          trustedProxies: ["127.0.0.1"],
          allowedHosts: ["status.example"],
          heartbeatInterval: "60 seconds",
          heartbeatTimeout: "2 minutes"
        }),
        /^warning proxy plain clients hear something only every 1m/
      )
    })
  )
})
