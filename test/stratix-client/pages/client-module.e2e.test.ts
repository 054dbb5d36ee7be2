/** The client as one module that a gateway serves, in a page without a bundler. */
import { readFile } from "node:fs/promises"
import * as Zlib from "node:zlib"
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { beforeAll } from "vitest"
import { describeWith } from "../../support/shared-layer.js"
import * as Chromium from "../support/Chromium.js"
import { buildClientModule } from "../support/clientModule.js"
import { startGateway, tab } from "../support/screens.js"

beforeAll(buildClientModule, 60_000)

/** A GET for the module, to the letter: `fetch` would decompress it and not show the headers of CORS. */
const get = (url: string, headers: Record<string, string> = {}) =>
  Effect.promise(async () => {
    const { request } = await import("undici")
    const answer = await request(`${url.replace("ws:", "http:")}client.js`, { headers })
    return { status: answer.statusCode, headers: answer.headers, body: Buffer.from(await answer.body.arrayBuffer()) }
  })

describeWith(Chromium.layer, 90_000)("GET /client.js", (test) => {
  test("makes a page without a bundler live: examples/live.html", () =>
    Effect.gen(function* () {
      const gateway = yield* startGateway()
      yield* gateway.says("online")
      const html = yield* Effect.promise(() => readFile("examples/live.html", "utf8"))
      const page = yield* tab
      yield* page.loads(html.replaceAll("127.0.0.1:3001", `127.0.0.1:${gateway.port}`))
      yield* page.reads("live")
      yield* page.reads("agent-001: online")
      yield* gateway.says("busy")
      yield* page.reads("agent-001: busy")
    }))

  test("allows a strict Content-Security-Policy: the gateway's addresses are enough", () =>
    Effect.gen(function* () {
      const gateway = yield* startGateway()
      yield* gateway.says("online")
      const html = yield* Effect.promise(() => readFile("examples/live.html", "utf8"))
      const hosts = `127.0.0.1:${gateway.port}`
      const policy = `default-src 'none'; script-src http://${hosts} 'nonce-page'; connect-src http://${hosts} ws://${hosts}`
      const page = yield* tab
      yield* page.loads(
        html
          .replaceAll("127.0.0.1:3001", hosts)
          .replace("<title>", `<meta http-equiv="content-security-policy" content="${policy}"><title>`)
          .replace("<script", '<script nonce="page"')
      )
      yield* page.reads("agent-001: online")
    }))

  test("is compressed, has an ETag and the type of a script", () =>
    Effect.gen(function* () {
      const { url } = yield* startGateway({ dashboard: false })
      const plain = yield* get(url)
      assert.strictEqual(plain.status, 200)
      assert.strictEqual(plain.headers["content-type"], "text/javascript; charset=utf-8")
      assert.strictEqual(plain.headers["x-content-type-options"], "nosniff")
      assert.notProperty(plain.headers, "content-encoding")
      for (const [encoding, decompress] of [
        ["gzip", Zlib.gunzipSync],
        ["br", Zlib.brotliDecompressSync]
      ] as const) {
        const { body, headers } = yield* get(url, { "accept-encoding": encoding })
        assert.strictEqual(headers["content-encoding"], encoding)
        assert.include(headers["vary"], "Accept-Encoding")
        assert.isTrue(decompress(body).equals(plain.body))
      }
      const again = yield* get(url, { "if-none-match": String(plain.headers["etag"]) })
      assert.deepStrictEqual([again.status, again.body.length], [304, 0])
    }))

  test("may be imported by pages of allowed origins on other hosts, and by no others", () =>
    Effect.gen(function* () {
      const { url } = yield* startGateway({ allowedOrigins: ["https://dashboard.example"] })
      const allowed = yield* get(url, { origin: "https://dashboard.example" })
      assert.deepStrictEqual(
        [allowed.status, allowed.headers["access-control-allow-origin"]],
        [200, "https://dashboard.example"]
      )
      assert.match(String(allowed.headers["vary"]), /Accept-Encoding.*Origin|Origin.*Accept-Encoding/)
      const other = yield* get(url, { origin: "https://evil.example" })
      assert.strictEqual(other.status, 403)
      assert.notProperty(other.headers, "access-control-allow-origin")
    }))
})
