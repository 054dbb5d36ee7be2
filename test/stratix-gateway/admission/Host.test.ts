import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { isAllowed } from "../../../src/stratix-gateway/admission/Host.js"
import { StatusSyncTest, TestClients } from "../../../src/stratix-testing/index.js"
import { quiet, refusedBy, request } from "../support/gateway.js"

const policy = (more: {
  host?: string
  allowedHosts?: ReadonlyArray<string>
  allowedOrigins?: ReadonlyArray<string>
}) => ({
  host: "127.0.0.1",
  allowedHosts: [],
  allowedOrigins: [],
  ...more
})

describe("the Host policy", () => {
  it("of a gateway bound to loopback lets in names of this machine, and no other", () => {
    for (const host of ["localhost:3001", "127.0.0.1:3001", "[::1]:3001", "app.localhost", "LOCALHOST", undefined]) {
      assert.isTrue(isAllowed(host, { local: true }, policy({})), host)
    }
    for (const host of [
      "evil.example:3001",
      "localhost.evil.example",
      "127.0.0.1.evil.example",
      "",
      "a b",
      "@localhost",
      "localhost/evil.example"
    ]) {
      assert.isFalse(isAllowed(host, { local: true }, policy({})), host)
    }
  })

  it("lets in listed hosts, with or without the port, and the hosts of listed origins", () => {
    const listed = policy({
      allowedHosts: ["Stratix.example", "other.example:8443"],
      allowedOrigins: ["https://dash.example"]
    })
    for (const host of ["stratix.example", "stratix.example:3001", "other.example:8443", "dash.example"]) {
      assert.isTrue(isAllowed(host, { local: true }, listed), host)
    }
    assert.isFalse(isAllowed("other.example", { local: true }, listed))
    assert.isTrue(isAllowed("any.example", { local: true }, policy({ allowedHosts: ["*"] })))
    assert.isFalse(isAllowed("a b", { local: true }, listed))
    assert.isFalse(isAllowed("a.example", { local: true }, policy({ allowedOrigins: ["no origin"] })))
  })

  it("of another bind asks only where hosts are listed", () => {
    const host = "gateway.example"
    assert.isTrue(isAllowed(host, { local: true }, policy({ host: "0.0.0.0" })))
    assert.isFalse(isAllowed(host, { local: false }, policy({ host: "0.0.0.0", allowedHosts: ["other.example"] })))
  })
})

const evil = { host: "evil.example:3001", "x-forwarded-host": "localhost" }

describe("a page that points its own name at this machine", () => {
  it.live("is refused on every route, and told what to set", () =>
    Effect.gen(function* () {
      const count = yield* refusedBy(
        "host",
        Effect.gen(function* () {
          for (const path of [
            "/healthz",
            "/metrics",
            "/openapi.json",
            "/api/stratix/state",
            "/api/stratix/connections",
            "/"
          ]) {
            const answer = yield* request("GET", path, { headers: evil })
            assert.strictEqual(answer.status, 403, path)
            assert.include(JSON.stringify(answer.body), "STRATIX_ALLOWED_HOSTS")
          }
          const upgrade = yield* Effect.flip(TestClients.connect({ headers: evil }))
          assert.strictEqual(upgrade.status, 403)
        })
      )
      assert.strictEqual(count, 7)
    }).pipe(Effect.provide(StatusSyncTest.layerWs()), Effect.provide(quiet))
  )

  it.live("is let in once its name is listed, as behind a proxy on this machine that keeps the Host", () =>
    Effect.gen(function* () {
      const headers = { host: "stratix.example", origin: "http://stratix.example" }
      assert.strictEqual((yield* request("GET", "/healthz", { headers })).status, 200)
      yield* TestClients.connect({ headers })
    }).pipe(Effect.provide(StatusSyncTest.layerWs({ allowedHosts: ["stratix.example"] })), Effect.provide(quiet))
  )
})
