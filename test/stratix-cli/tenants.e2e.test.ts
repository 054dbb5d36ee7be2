import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { gateway, run, url } from "./support/cli.js"

const TOKEN = "both-0123456789abcdef"
const permissions = ["subscribe", "publish", "operator"]
const tokens = Redacted.make(JSON.stringify([{ name: "both", token: TOKEN, permissions, tenants: ["acme", "globex"] }]))

describe("--tenant", () => {
  it.scopedLive("chooses among the token's tenants, before the environment and the address; each sees its own", () =>
    Effect.gen(function* () {
      const address = yield* url
      const env = { STRATIX_URL: address, STRATIX_TOKEN: TOKEN }
      const none = yield* run(["publish", "agent-status", "a", "busy"], { env })
      assert.notStrictEqual(none.code, 0)
      assert.include(none.err, 'choose one of "acme", "globex" with ?tenant=')
      const published = yield* run(["publish", "agent-status", "a", "busy", "--tenant", "acme"], { env })
      assert.strictEqual(published.code, 0, published.err)
      const state = (args: ReadonlyArray<string>, more: Record<string, string> = {}) =>
        Effect.map(run(["state", "--json", ...args], { env: { ...env, ...more } }), ({ out }) => out.includes('"busy"'))
      assert.isTrue(yield* state(["--tenant", "acme"]))
      assert.isFalse(yield* state(["--tenant", "globex"]))
      assert.isTrue(yield* state([], { STRATIX_TENANT: "acme" }))
      assert.isFalse(yield* state(["--tenant", "globex"], { STRATIX_TENANT: "acme" }))
      assert.isTrue(yield* state(["--url", `${address}?tenant=acme`]))
      const other = yield* run(["state", "--tenant", "initech"], { env })
      assert.include(other.err, "may not see this tenant")
    }).pipe(Effect.provide(gateway({ tokens })))
  )
})
