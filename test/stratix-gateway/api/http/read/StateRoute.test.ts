import * as Http from "node:http"
import { createGunzip, gunzipSync } from "node:zlib"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Authenticator, StatusSync } from "../../../../../src/stratix-gateway/index.js"
import { port, secretOf, token } from "../../../support/gateway.js"
import { overWs } from "../../../support/gateways.js"

interface Answer {
  readonly status: number
  readonly headers: Http.IncomingHttpHeaders
  readonly bytes: Buffer
}

const ask = (query: string, headers: Record<string, string> = {}) =>
  Effect.flatMap(port, (to) =>
    Effect.async<Answer>((resume) => {
      const path = `/api/stratix/state${query}`
      Http.get({ port: to, host: "127.0.0.1", path, headers, agent: false }, (response) => {
        const chunks: Array<Buffer> = []
        response.on("data", (chunk: Buffer) => chunks.push(chunk))
        response.on("end", () =>
          resume(
            Effect.succeed({
              status: response.statusCode ?? 0,
              headers: response.headers,
              bytes: Buffer.concat(chunks)
            })
          )
        )
      })
    })
  )

const eventsIn = ({ bytes }: Answer): ReadonlyArray<{ readonly payload: { readonly agentId: string } }> =>
  JSON.parse(bytes.toString()).events

const agentsIn = (answer: Answer) => eventsIn(answer).map(({ payload }) => payload.agentId)

const gzip = { "accept-encoding": "gzip, deflate, br" }

describe("GET /api/stratix/state", () => {
  it.live("has the filters of an upgrade, and says what is wrong with one", () =>
    Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      yield* sync.notifyAgentStatus("a", "busy")
      yield* sync.notifyAgentStatus("b,c", "busy")
      yield* sync.notifyAgentCreate("a", "Ada", "writer")
      assert.deepStrictEqual(agentsIn(yield* ask("?agents=a,b%2Cc&events=agent_status_update")), ["a", "b,c"])
      assert.deepStrictEqual(agentsIn(yield* ask("?agents=nobody")), [])
      for (const query of ["?agents=", "?agents=a&agents=b", "?agents=%zz", "?agents=a,b,c,d"]) {
        const { bytes, status } = yield* ask(query)
        assert.strictEqual(status, 400)
        assert.strictEqual(JSON.parse(bytes.toString()).error, "Malformed")
      }
    }).pipe(Effect.provide(overWs({ maxFilterValues: 3 })))
  )

  it.live("is compressed where the client takes gzip, in as many pieces as it is made in", () =>
    Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      for (let n = 0; n < 100; n++) yield* sync.notifyCommandStatus(`c${n}`, "a", "running", 1, `${n}`.repeat(5000))
      const plain = yield* ask("")
      assert.isUndefined(plain.headers["content-encoding"])
      const answers = yield* Effect.all([ask("", gzip), ask("", gzip), ask("", { "accept-encoding": "*" })], {
        concurrency: "unbounded"
      })
      for (const answer of answers) {
        assert.strictEqual(answer.headers["content-encoding"], "gzip")
        assert.isBelow(answer.bytes.length, plain.bytes.length / 10)
        // Checks the checksum and the length, too.
        assert.isTrue(gunzipSync(answer.bytes).equals(plain.bytes))
      }
      for (const header of ["br", "gzip;q=0", "identity, gzip; q=0", "*;q=0"]) {
        assert.isUndefined((yield* ask("", { "accept-encoding": header })).headers["content-encoding"])
      }
    }).pipe(Effect.provide(overWs()))
  )

  it.live("is one gzip member, which a client can read as it comes", () =>
    Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      for (let n = 0; n < 100; n++) yield* sync.notifyCommandStatus(`c${n}`, "a", "running", 1, `${n}`.repeat(5000))
      const { bytes } = yield* ask("", gzip)
      const first = yield* Effect.async<string>((resume) => {
        const unzip = createGunzip()
        unzip.once("data", (chunk: Buffer) => resume(Effect.succeed(chunk.toString())))
        unzip.write(bytes.subarray(0, bytes.length / 2))
      })
      assert.match(first, /^\{"head":"[^"]+","events":\[\{/)
    }).pipe(Effect.provide(overWs()))
  )

  it.live("is not sent to one who has it: by head, filter and encoding", () =>
    Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      yield* sync.notifyAgentStatus("a", "busy")
      const tagOf = (query: string, headers = {}) =>
        Effect.map(ask(query, headers), (answer) => answer.headers.etag ?? "")
      const tags = [
        yield* tagOf(""),
        yield* tagOf("", gzip),
        yield* tagOf("?agents=a"),
        yield* tagOf("?agents=b"),
        yield* tagOf("?agents=a,b")
      ]
      assert.strictEqual(new Set(tags).size, tags.length)
      assert.strictEqual(yield* tagOf("?agents=b,a"), tags[4])
      for (const known of [tags[0], `"other", ${tags[0]}`, "*"]) {
        const { bytes, headers, status } = yield* ask("", { "if-none-match": known ?? "", origin: "http://localhost" })
        assert.deepStrictEqual([status, bytes.length, headers.etag], [304, 0, tags[0]])
        assert.strictEqual(headers.vary, "Authorization, Cookie, Accept-Encoding, Origin")
      }
      const whole = yield* ask("", { ...gzip, "if-none-match": tags[0] ?? "", origin: "http://localhost" })
      assert.deepStrictEqual([whole.status, whole.headers.etag], [200, tags[1]])
      assert.strictEqual(whole.headers.vary, "Authorization, Cookie, Accept-Encoding, Origin")
      assert.strictEqual((yield* ask("", { "if-none-match": tags[1] ?? "" })).status, 200)
      yield* sync.notifyAgentStatus("a", "busy")
      const { headers, status } = yield* ask("", { "if-none-match": tags[0] ?? "" })
      assert.strictEqual(status, 200)
      assert.strictEqual(headers.vary, "Authorization, Cookie, Accept-Encoding")
      assert.strictEqual(headers["cache-control"], "private, no-cache")
    }).pipe(Effect.provide(overWs()))
  )

  it.live("has an ETag of its own for each that sees something else", () =>
    Effect.gen(function* () {
      yield* Effect.flatMap(StatusSync.StatusSync, (sync) => sync.notifyAgentStatus("a", "busy"))
      const as = (name: string, known = "") =>
        ask("", { authorization: `Bearer ${secretOf(name)}`, ...(known !== "" && { "if-none-match": known }) })
      const all = yield* as("all")
      assert.deepStrictEqual(agentsIn(all), ["a"])
      assert.deepStrictEqual(agentsIn(yield* as("other", all.headers.etag)), [])
      assert.strictEqual((yield* as("all", all.headers.etag)).status, 304)
      assert.strictEqual((yield* ask("", { "if-none-match": all.headers.etag ?? "" })).status, 401)
    }).pipe(
      Effect.provide(
        overWs(
          {},
          Layer.orDie(
            Authenticator.layerTokens([
              token("all", ["subscribe"]),
              token("other", ["subscribe"], { visible: { agents: ["b"] } })
            ])
          )
        )
      )
    )
  )
})
