import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Either, Layer, Redacted } from "effect"
import * as StaticTokens from "../../../src/stratix-gateway/auth/StaticTokens.js"
import { Authenticator, Connections } from "../../../src/stratix-gateway/index.js"
import { StatusSyncTest, TestClients } from "../../../src/stratix-testing/index.js"
import { nextTurn } from "../../support/waiting.js"
import { over, withTokens } from "../support/authentication.js"
import { folder, replace } from "../support/files.js"
import { bearer, recorded, refusal, secretOf, token } from "../support/gateway.js"

describe("static tokens", () => {
  it.effect("are taken from the Authorization header", () =>
    Effect.gen(function* () {
      const client = yield* TestClients.connect(bearer(secretOf("dash")))
      assert.deepInclude(yield* client.take, { eventType: "stratix:connected" })
      assert.strictEqual((yield* refusal(bearer(secretOf("other")))).status, 401)
      for (const authorization of [
        "",
        "Bearer",
        "Bearer ",
        `Basic ${secretOf("dash")}`,
        `Bearer ${secretOf("dash")} x`
      ]) {
        assert.strictEqual((yield* refusal({ headers: { authorization } })).status, 401, authorization)
      }
    }).pipe(Effect.provide(withTokens([token("dash", ["subscribe"])])))
  )

  it.effect("are taken from a subprotocol entry, beside the one that is selected", () =>
    Effect.gen(function* () {
      const entry = `stratix.bearer.${secretOf("dash")}`
      const plain = yield* TestClients.connect({ protocols: [entry, "stratix.plain.v1"] })
      assert.strictEqual(plain.subprotocol, "stratix.plain.v1")
      const synced = yield* TestClients.connect({ protocols: ["stratix.sync.v1", entry] })
      assert.strictEqual(synced.subprotocol, "stratix.sync.v1")
      const alone = yield* refusal({ protocols: [entry] })
      assert.strictEqual(alone.status, 400)
      assert.match(alone.message, /needs stratix\.plain\.v1 or stratix\.sync\.v1 beside it/)
      assert.notInclude(alone.body, secretOf("dash"))
      assert.strictEqual((yield* refusal({ protocols: ["stratix.bearer.x", "stratix.plain.v1"] })).status, 401)
    }).pipe(Effect.provide(withTokens([token("dash", ["subscribe"])])))
  )

  it.effect("are not looked for in the query string", () =>
    Effect.gen(function* () {
      const refused = yield* refusal({ query: `token=${secretOf("dash")}` })
      assert.strictEqual(refused.status, 401)
      assert.match(refused.message, /query string is not looked at here/)
    }).pipe(Effect.provide(withTokens([token("dash", ["subscribe"])])))
  )

  it.effect("are looked for in the query string where the operator allows it", () =>
    Effect.gen(function* () {
      yield* TestClients.connect({ query: `events=agent_create&token=${secretOf("dash")}` })
      assert.strictEqual((yield* refusal({ query: "token=wrong" })).status, 401)
    }).pipe(Effect.provide(withTokens([token("dash", ["subscribe"])], { queryTokens: true })))
  )

  it.effect("refuse with 401 and a challenge: one without a token, and one with a wrong one", () =>
    Effect.gen(function* () {
      const missing = yield* refusal({})
      assert.deepStrictEqual(
        [missing.status, missing.reason, missing.headers["www-authenticate"]],
        [401, "unauthorized", 'Bearer realm="stratix"']
      )
      const wrong = yield* refusal(bearer(`${secretOf("dash")}x`))
      assert.deepStrictEqual(
        [wrong.status, wrong.headers["www-authenticate"]],
        [401, 'Bearer realm="stratix", error="invalid_token"']
      )
      for (const near of [secretOf("dash").slice(0, -1), secretOf("dash").toUpperCase(), ` ${secretOf("dash")}`]) {
        const { status } = yield* Effect.either(TestClients.connect(bearer(near))).pipe(
          Effect.map(Either.match({ onLeft: ({ status }) => ({ status }), onRight: () => ({ status: 101 }) }))
        )
        // A space before the token belongs to the header, not to the token.
        assert.strictEqual(status, near.startsWith(" ") ? 101 : 401, near)
      }
    }).pipe(Effect.provide(withTokens([token("dash", ["subscribe"])])))
  )

  it.effect("refuse with 403 one who may publish but not watch", () =>
    Effect.gen(function* () {
      const refused = yield* refusal(bearer(secretOf("ci")))
      assert.strictEqual(refused.status, 403)
      assert.match(refused.message, /ci may not subscribe/)
      assert.include(refused.headers["www-authenticate"], "insufficient_scope")
    }).pipe(Effect.provide(withTokens([token("ci", ["publish", "operator"])])))
  )

  it.effect("are several for one name while one is exchanged for another", () =>
    Effect.gen(function* () {
      yield* TestClients.connect(bearer(secretOf("old")))
      yield* TestClients.connect(bearer(secretOf("new")))
      const { all } = yield* Connections.Connections
      assert.deepStrictEqual(
        (yield* all).map(({ info }) => info.principal),
        ["dash", "dash"]
      )
    }).pipe(
      Effect.provide(
        withTokens([
          token("dash", ["subscribe"], { token: Redacted.make(secretOf("old")) }),
          token("dash", ["subscribe"], { token: Redacted.make(secretOf("new")) })
        ])
      )
    )
  )

  it.effect("are good to the last character, and nothing else is", () =>
    Effect.gen(function* () {
      const made = StaticTokens.make([token("a", ["subscribe"]), token("b", ["subscribe"])], yield* Effect.clock)
      const verify = (text: string) =>
        Effect.either(made.verify({ token: Redacted.make(text), headers: {}, remoteAddress: "203.0.113.7" }))
      for (const name of ["a", "b"]) {
        const found = yield* verify(secretOf(name))
        assert.isTrue(Either.isRight(found) && found.right.name === name)
      }
      for (let n = 0; n < 2000; n++) assert.isTrue(Either.isLeft(yield* verify(`${secretOf("a")}${n}`)))
      assert.isTrue(Either.isLeft(yield* verify("")))
    })
  )

  it("are read from JSON; what is wrong is said by its place, and no token is shown", () => {
    const good = StaticTokens.fromJson(
      JSON.stringify([
        {
          name: "a",
          token: secretOf("a"),
          permissions: ["subscribe"],
          visible: { agents: ["x"] },
          expiresAt: "2030-01-01T00:00:00Z"
        }
      ])
    )
    assert.isTrue(Either.isRight(good))
    const cases: ReadonlyArray<readonly [unknown, RegExp]> = [
      ["[", /must be a JSON array/],
      [{}, /must be a JSON array/],
      [[{ name: "a", token: "hunter2", permissions: [] }], /0\.token: must be a text of at least 16/],
      [
        [{ name: "a", token: 12345678901234567n.toString().length, permissions: [] }],
        /0\.token: must be a text of at least 16/
      ],
      [
        [{ name: "a", token: `${secretOf("hunter2")} and a space`, permissions: [] }],
        /0\.token: must be a text of at least 16 letters/
      ],
      [[{ name: "", token: secretOf("hunter2"), permissions: [] }], /0\.name: must be a text of 1 to 256/],
      [
        [{ name: "a", token: secretOf("hunter2"), permissions: ["root"] }],
        /0\.permissions\.0: must be "subscribe", "publish" or "operator"/
      ],
      [[{ name: "a", token: secretOf("hunter2"), permissions: [], visble: {} }], /0\.visble: is unexpected/],
      [
        [{ name: "a", token: secretOf("hunter2"), permissions: [], expiresAt: "soon" }],
        /0\.expiresAt: must be a time like/
      ]
    ]
    for (const [json, text] of cases) {
      const read = StaticTokens.fromJson(typeof json === "string" ? json : JSON.stringify(json))
      assert.isTrue(Either.isLeft(read))
      if (Either.isLeft(read)) {
        assert.match(read.left, text)
        assert.notInclude(read.left, "hunter2")
      }
    }
  })
})

describe("a file of tokens", () => {
  const json = (tokens: ReadonlyArray<{ readonly name: string; readonly agents?: ReadonlyArray<string> }>) =>
    JSON.stringify(
      tokens.map(({ agents, name }) => ({
        name,
        token: secretOf(name),
        permissions: ["subscribe"],
        ...(agents && { visible: { agents } })
      }))
    )

  it.scopedLive(
    "is read again when it changes: who is not in it any more, or in another way, is closed with 4401",
    () =>
      Effect.gen(function* () {
        const path = join(yield* folder, "tokens.json")
        yield* replace(path, json([{ name: "gone" }, { name: "changed" }, { name: "same" }]))
        yield* Effect.gen(function* () {
          const gone = yield* TestClients.connect(bearer(secretOf("gone")))
          const changed = yield* TestClients.connect(bearer(secretOf("changed")))
          const same = yield* TestClients.connect(bearer(secretOf("same")))
          yield* replace(path, json([{ name: "changed", agents: ["x"] }, { name: "same" }, { name: "new" }]))
          assert.strictEqual((yield* gone.closed).code, 4401)
          assert.strictEqual((yield* changed.closed).code, 4401)
          assert.isTrue(yield* same.isOpen)
          assert.strictEqual((yield* refusal(bearer(secretOf("gone")))).status, 401)
          yield* TestClients.connect(bearer(secretOf("new")))
          const again = yield* TestClients.connect(bearer(secretOf("changed")))
          const { all } = yield* Connections.Connections
          const principals = (yield* all).map(({ admission }) => admission.principal)
          assert.isTrue(principals.some(({ name, visible }) => name === "changed" && visible.agents?.has("x")))
          assert.isTrue(yield* again.isOpen)
        }).pipe(Effect.provide(over(Authenticator.layerTokensFile(path))))
      })
  )

  it.scopedLive("that becomes wrong leaves the tokens as they were, and is logged without its content", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const path = join(yield* folder, "tokens.json")
      yield* replace(path, json([{ name: "dash" }]))
      const layer = Layer.provideMerge(
        StatusSyncTest.layerWith({}, Authenticator.layerTokensFile(path)),
        recorded(lines)
      )
      yield* Effect.gen(function* () {
        const client = yield* TestClients.connect(bearer(secretOf("dash")))
        yield* replace(path, `[{"name":"dash","token":"${secretOf("hunter2")}"`)
        while (
          !lines.some((line) => /ERROR .*tokens\.json: must be a JSON array.*; still using the tokens/.test(line))
        ) {
          yield* nextTurn
        }
        assert.isTrue(yield* client.isOpen)
        yield* TestClients.connect(bearer(secretOf("dash")))
        assert.isFalse(lines.some((line) => line.includes("hunter2") || line.includes(secretOf("dash"))))
      }).pipe(Effect.provide(layer), Effect.orDie)
    })
  )
})
