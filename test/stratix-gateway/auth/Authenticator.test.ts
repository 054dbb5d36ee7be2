import { mkdtemp, rename, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Either, Layer, Redacted, TestClock } from "effect"
import * as StaticTokens from "../../../src/stratix-gateway/auth/StaticTokens.js"
import {
  Authenticator,
  Connections,
  EventLog,
  Filter,
  StatusSync,
  type StatusSyncConfig
} from "../../../src/stratix-gateway/index.js"
import { StatusSyncTest, TestClients } from "../../../src/stratix-testing/index.js"
import { bearer, nextTurn, quiet, recorded, refusal, refusedBy, secretOf, token } from "../support/gateway.js"

const over = (
  authenticator: Layer.Layer<Authenticator.Authenticator, Authenticator.AuthenticatorError>,
  settings: Partial<StatusSyncConfig.Settings> = {}
) => Layer.provideMerge(StatusSyncTest.layerWith(settings, authenticator), quiet)

const withTokens = (
  tokens: ReadonlyArray<Authenticator.StaticToken>,
  settings: Partial<StatusSyncConfig.Settings> = {}
) => over(Authenticator.layerTokens(tokens), settings)

const sync = { protocols: ["stratix.sync.v1"] }

const names = (messages: ReadonlyArray<{ readonly payload: unknown }>) =>
  messages.flatMap(({ payload }) =>
    typeof payload === "object" && payload !== null && "agentId" in payload ? [payload.agentId] : []
  )

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
        Effect.either(made.verify({ token: Redacted.make(text), remoteAddress: "203.0.113.7" }))
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

describe("what a principal may see", () => {
  const narrow = withTokens([
    token("narrow", ["subscribe"], { visible: { agents: ["mine"], events: ["agent_status_update"] } }),
    token("wide", ["subscribe"])
  ])
  const publish = Effect.gen(function* () {
    const { notifyAgentCreate, notifyAgentStatus } = yield* StatusSync.StatusSync
    yield* notifyAgentStatus("mine", "busy")
    yield* notifyAgentStatus("theirs", "busy")
    yield* notifyAgentCreate("mine", "Mine", "worker")
    yield* StatusSyncTest.settled
  })

  it.effect("is all a live connection gets", () =>
    Effect.gen(function* () {
      const client = yield* TestClients.connect(bearer(secretOf("narrow")))
      const all = yield* TestClients.connect(bearer(secretOf("wide")))
      yield* publish
      assert.deepStrictEqual(names(yield* client.received), ["mine"])
      assert.deepStrictEqual(names(yield* all.received), ["mine", "theirs", "mine"])
    }).pipe(Effect.provide(narrow))
  )

  it.effect("is not widened by the query string, by subscribe, by a snapshot or by a resume", () =>
    Effect.gen(function* () {
      const { head } = yield* EventLog.EventLog
      const start = head().offset
      yield* publish
      const asked = [
        { query: "agents=theirs,mine&snapshot=true" },
        { query: "snapshot=true" },
        sync,
        { ...sync, query: `since=${encodeURIComponent(start)}` },
        { ...sync, query: `since=${encodeURIComponent(start)}&agents=theirs` }
      ]
      for (const options of asked) {
        const client = yield* TestClients.connect({ ...options, ...bearer(secretOf("narrow")) })
        yield* client.send({ type: "subscribe", agents: ["theirs", "mine"] })
        yield* client.send({ type: "subscribe" })
        yield* publish
        for (const seen of names(yield* client.received)) assert.strictEqual(seen, "mine", JSON.stringify(options))
        const told = (yield* client.received).filter(({ eventType }) => eventType === "stratix:subscribed")
        assert.deepStrictEqual(
          told.map(({ payload }) => payload),
          [
            { events: ["stratix:agent_status_update"], agents: ["mine"] },
            { events: ["stratix:agent_status_update"], agents: ["mine"] }
          ]
        )
        assert.isFalse((yield* client.received).some(({ eventType }) => eventType === "stratix:agent_create"))
      }
    }).pipe(Effect.provide(narrow))
  )

  it.effect("and nothing, where what is asked for and what may be seen have nothing in common", () =>
    Effect.gen(function* () {
      const client = yield* TestClients.connect({ ...sync, ...bearer(secretOf("narrow")), query: "agents=theirs" })
      yield* publish
      assert.deepStrictEqual(names(yield* client.received), [])
    }).pipe(Effect.provide(narrow))
  )
})

describe("expiry", () => {
  const at = (millis: number) => ({ expiresAt: DateTime.unsafeMake(millis) })
  const tokens = [
    token("one", ["subscribe"], at(90_000)),
    token("two", ["subscribe"], at(60_001)),
    token("far", ["subscribe"], at(40 * 24 * 60 * 60 * 1000)),
    token("never", ["subscribe"])
  ]

  it.effect("closes with 4401 at its very moment, each at its own", () =>
    Effect.gen(function* () {
      const one = yield* TestClients.connect(bearer(secretOf("one")))
      const two = yield* TestClients.connect({ ...sync, ...bearer(secretOf("two")) })
      const never = yield* TestClients.connect(bearer(secretOf("never")))
      yield* TestClock.adjust("60000 millis")
      assert.isTrue(yield* two.isOpen)
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* two.closed, { code: 4401, reason: "the token has expired" })
      yield* TestClock.adjust("29998 millis")
      assert.isTrue(yield* one.isOpen)
      const count = yield* refusedBy("expired", TestClock.adjust("1 millis"))
      assert.deepStrictEqual(yield* one.closed, { code: 4401, reason: "the token has expired" })
      assert.strictEqual(count, 1)
      assert.isTrue(yield* never.isOpen)
      assert.strictEqual((yield* refusal(bearer(secretOf("one")))).status, 401)
      assert.match((yield* refusal(bearer(secretOf("one")))).message, /has expired/)
    }).pipe(Effect.provide(withTokens(tokens)))
  )

  it.effect("beyond the 24.8 days of a JavaScript timer comes then, not before", () =>
    Effect.gen(function* () {
      const far = yield* TestClients.connect(bearer(secretOf("far")))
      yield* TestClock.adjust(40 * 24 * 60 * 60 * 1000 - 1)
      assert.isTrue(yield* far.isOpen)
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual((yield* far.closed).code, 4401)
    }).pipe(
      // A slow heartbeat, for virtual time to be quick.
      Effect.provide(withTokens(tokens, { heartbeatInterval: "12 days", heartbeatTimeout: "24 days" }))
    )
  )

  it.effect("concerns nobody who has left", () =>
    Effect.gen(function* () {
      const one = yield* TestClients.connect(bearer(secretOf("one")))
      yield* one.close()
      assert.strictEqual(yield* refusedBy("expired", TestClock.adjust("2 minutes")), 0)
    }).pipe(Effect.provide(withTokens(tokens)))
  )

  it.effect("lets a client that does not read no longer stay: what it gets after it thaws is the close", () =>
    Effect.gen(function* () {
      const { notifyAgentStatus } = yield* StatusSync.StatusSync
      const one = yield* TestClients.connect(bearer(secretOf("one")))
      yield* one.freeze
      yield* TestClock.adjust("90 seconds")
      yield* notifyAgentStatus("a", "busy")
      yield* StatusSyncTest.settled
      yield* one.thaw
      assert.strictEqual((yield* one.closed).code, 4401)
      assert.deepStrictEqual(names(yield* one.received), [])
    }).pipe(Effect.provide(withTokens(tokens, { heartbeatTimeout: "10 minutes" })))
  )
})

describe("revocation", () => {
  it.effect(
    "closes the principal's connections with 4401, refuses its token from then on, and touches nobody else",
    () =>
      Effect.gen(function* () {
        const { revoke } = yield* Authenticator.Authenticator
        const mine = yield* TestClients.connect(bearer(secretOf("dash")))
        const alsoMine = yield* TestClients.connect(bearer(secretOf("dash")))
        const other = yield* TestClients.connect(bearer(secretOf("other")))
        yield* revoke("dash")
        assert.deepStrictEqual(yield* mine.closed, { code: 4401, reason: "the token was revoked" })
        assert.strictEqual((yield* alsoMine.closed).code, 4401)
        assert.isTrue(yield* other.isOpen)
        const refused = yield* refusal(bearer(secretOf("dash")))
        assert.deepStrictEqual([refused.status, refused.message], [401, "the token was revoked"])
        yield* TestClients.connect(bearer(secretOf("other")))
      }).pipe(Effect.provide(withTokens([token("dash", ["subscribe"]), token("other", ["subscribe"])])))
  )

  it.effect("closes a connection that was let in and had not opened yet", () =>
    Effect.gen(function* () {
      const client = yield* TestClients.connect()
      assert.deepStrictEqual(yield* client.closed, { code: 4401, reason: "the token was revoked" })
    }).pipe(
      Effect.provide(
        over(
          Layer.scoped(
            Authenticator.Authenticator,
            Effect.map(
              Authenticator.make({ verifiers: [{ verify: () => Effect.succeed(Authenticator.anonymous) }] }),
              // Revoked in the moment between the answer and the opening.
              (made) => ({ ...made, isStillValid: () => false })
            )
          )
        )
      )
    )
  )

  it.effect("does not concern what is issued later", () =>
    Effect.gen(function* () {
      let issuedAt = DateTime.unsafeMake(0)
      const issuing = Authenticator.make({
        verifiers: [{ verify: () => Effect.sync(() => ({ ...Authenticator.anonymous, name: "dash", issuedAt })) }]
      })
      yield* Effect.gen(function* () {
        const { revoke } = yield* Authenticator.Authenticator
        yield* TestClock.adjust("1 minute")
        const before = yield* TestClients.connect()
        yield* revoke("dash")
        assert.strictEqual((yield* before.closed).code, 4401)
        assert.strictEqual((yield* refusal({})).status, 401)
        issuedAt = DateTime.unsafeMake(60_001)
        const after = yield* TestClients.connect()
        assert.isTrue(yield* after.isOpen)
      }).pipe(Effect.provide(over(Layer.scoped(Authenticator.Authenticator, issuing))))
    })
  )
})

describe("a file of tokens", () => {
  const folder = Effect.acquireRelease(
    Effect.promise(() => mkdtemp(join(tmpdir(), "stratix-tokens-"))),
    (path) => Effect.promise(() => rm(path, { recursive: true }))
  )
  const json = (tokens: ReadonlyArray<{ readonly name: string; readonly agents?: ReadonlyArray<string> }>) =>
    JSON.stringify(
      tokens.map(({ agents, name }) => ({
        name,
        token: secretOf(name),
        permissions: ["subscribe"],
        ...(agents && { visible: { agents } })
      }))
    )
  /** As a careful program does it: nobody sees half a file. */
  const replace = (path: string, text: string) =>
    Effect.promise(async () => {
      await writeFile(`${path}.new`, text)
      await rename(`${path}.new`, path)
    })

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

describe("tokens in the log", () => {
  it.effect("there are none, whatever happens", () => {
    const lines: Array<string> = []
    const tokens = Authenticator.layerTokens([token("dash", ["subscribe"]), token("ci", ["publish"])])
    const layer = Layer.provideMerge(StatusSyncTest.layerWith({ queryTokens: true }, tokens), recorded(lines))
    return Effect.gen(function* () {
      const shown = [secretOf("dash"), secretOf("ci"), secretOf("wrong")]
      for (const text of shown) {
        yield* Effect.either(TestClients.connect(bearer(text)))
        yield* Effect.either(TestClients.connect({ query: `token=${text}` }))
        yield* Effect.either(TestClients.connect({ query: `token=${text}&events=` }))
        yield* Effect.either(TestClients.connect({ query: `token=${text}`, path: "/elsewhere" }))
        yield* Effect.either(TestClients.connect({ protocols: [`stratix.bearer.${text}`] }))
        yield* Effect.either(TestClients.connect({ protocols: ["stratix.plain.v1", `stratix.bearer.${text}`] }))
      }
      const { revoke } = yield* Authenticator.Authenticator
      yield* revoke("dash")
      yield* TestClock.adjust("1 minute")
      assert.isAbove(lines.length, 5)
      for (const line of lines) for (const text of shown) assert.notInclude(line, text)
    }).pipe(Effect.provide(layer), Effect.orDie)
  })
})

describe("an authenticator of one's own", () => {
  it.effect("is made of a function, and is the one the service asks", () =>
    Effect.gen(function* () {
      const { permissions } = Authenticator.anonymous
      const own = Authenticator.make({
        verifiers: [
          {
            verify: ({ remoteAddress, token: shown }) =>
              shown !== undefined && Redacted.value(shown) === "sesame"
                ? Effect.succeed({
                    name: remoteAddress,
                    permissions,
                    visible: Filter.all,
                    issuedAt: undefined,
                    expiresAt: undefined
                  })
                : new Authenticator.Unauthenticated({ reason: "Invalid", message: "not the word" })
          }
        ]
      })
      yield* Effect.gen(function* () {
        assert.match((yield* refusal(bearer("abracadabra"))).message, /not the word/)
        yield* TestClients.connect({ ...bearer("sesame"), remoteAddress: "203.0.113.7" })
        const { all } = yield* Connections.Connections
        assert.deepStrictEqual(
          (yield* all).map(({ info }) => info.principal),
          ["203.0.113.7"]
        )
      }).pipe(Effect.provide(over(Layer.scoped(Authenticator.Authenticator, own))))
    })
  )

  it.effect("that gives a principal whose time is over lets nobody in", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("1 minute")
      assert.deepInclude(yield* refusal({}), { status: 401, message: "the token has expired" })
    }).pipe(
      Effect.provide(
        over(
          Layer.scoped(
            Authenticator.Authenticator,
            Authenticator.make({
              verifiers: [
                {
                  verify: () =>
                    Effect.succeed({ ...Authenticator.anonymous, name: "late", expiresAt: DateTime.unsafeMake(60_000) })
                }
              ]
            })
          )
        )
      )
    )
  )

  it.effect("that cannot tell makes it 503 with Retry-After, not 401: the client's token may be good", () =>
    Effect.gen(function* () {
      const refused = yield* refusal(bearer("x"))
      assert.deepStrictEqual(
        [refused.status, refused.reason, refused.headers["retry-after"]],
        [503, "unavailable", "5"]
      )
    }).pipe(
      Effect.provide(
        over(
          Layer.scoped(
            Authenticator.Authenticator,
            Authenticator.make({
              verifiers: [
                { verify: () => new Authenticator.Unauthenticated({ reason: "Unavailable", message: "no keys" }) }
              ]
            })
          )
        )
      )
    )
  )
})
