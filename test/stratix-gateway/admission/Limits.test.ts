import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Option, TestClock } from "effect"
import * as Limits from "../../../src/stratix-gateway/admission/Limits.js"
import type { LimitExceeded, Permit } from "../../../src/stratix-gateway/admission/Permit.js"
import * as SharedLimits from "../../../src/stratix-gateway/admission/SharedLimits.js"
import { anonymous } from "../../../src/stratix-gateway/auth/Principal.js"
import * as Channel from "../../../src/stratix-gateway/channel/Channel.js"
import { Link } from "../../../src/stratix-gateway/channel/Link.js"
import * as Primary from "../../../src/stratix-gateway/channel/Primary.js"
import { Reports } from "../../../src/stratix-gateway/channel/Reports.js"
import { StatusSyncConfig } from "../../../src/stratix-gateway/index.js"

type Settings = Partial<StatusSyncConfig.Settings>

/** The counts of a gateway with these settings, as a script asks them. */
const counts = (settings: Settings) =>
  Effect.gen(function* () {
    const { acquire, takePublishes } = yield* Limits.counts
    return {
      /** A permit that must be had. */
      permit: (address: string): Permit =>
        Exit.getOrElse(acquire(address), (cause) => assert.fail(Cause.pretty(cause))),
      /** Why there is none; `undefined` where there is one. */
      refusal: (address: string) => failure(acquire(address)),
      publish: (key: string, count: number) => failure(takePublishes(key, `the ${key}`, count))
    }
  }).pipe(Effect.provide(StatusSyncConfig.layer(settings)))

const failure = <A>(exit: Exit.Exit<A, LimitExceeded>): LimitExceeded | undefined =>
  Exit.isFailure(exit) ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined

const MANY = { maxConnections: 10_000, maxConnectionsPerAddress: 1000, maxHandshakes: 10_000 }

describe("permits", () => {
  it.effect("are as many as connections may be, and are given back once", () =>
    Effect.gen(function* () {
      const { permit, refusal } = yield* counts({ maxConnections: 2, handshakeRate: 0 })
      const [first] = [permit("10.0.0.1"), permit("10.0.0.2")]
      const full = { reason: "connections", status: 503, message: "the gateway is full", retryAfterSeconds: 10 }
      assert.deepStrictEqual<unknown>(refusal("10.0.0.3"), full)
      first.handshakeDone("admitted")
      assert.deepStrictEqual<unknown>(refusal("10.0.0.3"), full)
      first.release()
      first.release()
      permit("10.0.0.3")
      assert.deepStrictEqual<unknown>(refusal("10.0.0.3"), full)
    })
  )

  it.effect(
    "of one address are as many as it may have, under way and admitted together; of this machine, any number",
    () =>
      Effect.gen(function* () {
        const { permit, refusal } = yield* counts({ maxConnectionsPerAddress: 2, handshakeRate: 0 })
        const [first] = [permit("10.0.0.1"), permit("10.0.0.1")]
        const full = {
          reason: "connections_per_address",
          status: 429,
          message: "too many connections from this address",
          retryAfterSeconds: 10
        }
        assert.deepStrictEqual<unknown>(refusal("10.0.0.1"), full)
        permit("10.0.0.2")
        first.handshakeDone("admitted")
        assert.deepStrictEqual<unknown>(refusal("10.0.0.1"), full)
        first.release()
        permit("10.0.0.1")
        for (const local of ["127.0.0.1", "::1"])
          for (let n = 0; n < 5; n++) {
            const one = permit(local)
            one.handshakeDone("refused")
            one.release()
            permit(local)
          }
        // All of a network of IPv6 are one.
        for (const address of ["2001:db8::1", "2001:db8::2"]) permit(address)
        assert.deepStrictEqual<unknown>(refusal("2001:db8::3"), full)
      })
  )

  it.effect("of handshakes under way are limited, until each is over, once", () =>
    Effect.gen(function* () {
      const { permit, refusal } = yield* counts({ ...MANY, maxHandshakes: 2, handshakeRate: 0 })
      const [first] = [permit("10.0.0.1"), permit("10.0.0.2")]
      const full = { reason: "handshakes", status: 503, message: "too many connect at once", retryAfterSeconds: 1 }
      assert.deepStrictEqual<unknown>(refusal("10.0.0.3"), full)
      first.handshakeDone("undecided")
      first.handshakeDone("undecided")
      permit("10.0.0.3")
      assert.deepStrictEqual<unknown>(refusal("10.0.0.4"), full)
      assert.deepStrictEqual<unknown>(refusal("127.0.0.1"), full)
    })
  )

  it.effect("under way are a quarter for an address that is not known, once another is", () =>
    Effect.gen(function* () {
      const { permit, refusal } = yield* counts({ ...MANY, maxHandshakes: 8, handshakeRate: 0 })
      const known = permit("10.0.0.1")
      known.handshakeDone("admitted")
      const [first] = [permit("10.0.0.2"), permit("10.0.0.2")]
      assert.strictEqual(refusal("10.0.0.2")?.reason, "handshakes")
      for (let n = 0; n < 3; n++) permit("10.0.0.1")
      permit("10.0.0.3")
      permit("127.0.0.1")
      first.handshakeDone("undecided")
      permit("10.0.0.2")
      assert.strictEqual(refusal("10.0.0.2")?.reason, "handshakes")
    })
  )

  it.effect("under way are at least one for an address that is not known", () =>
    Effect.gen(function* () {
      const { permit, refusal } = yield* counts({ ...MANY, maxHandshakes: 3, handshakeRate: 0 })
      permit("10.0.0.1").handshakeDone("admitted")
      permit("10.0.0.2")
      assert.strictEqual(refusal("10.0.0.2")?.reason, "handshakes")
    })
  )
})

describe("the rate of handshakes", () => {
  const slow = { status: 503, reason: "handshake_rate", message: "too many connect at once" }

  it.effect("lets five seconds' worth begin at once", () =>
    Effect.gen(function* () {
      const { permit, refusal } = yield* counts({ ...MANY, handshakeRate: 2 })
      for (let n = 0; n < 10; n++) permit(`10.0.0.${n}`)
      assert.deepStrictEqual<unknown>(refusal("10.0.1.1"), { ...slow, retryAfterSeconds: 1 })
      yield* TestClock.adjust("499 millis")
      assert.deepStrictEqual<unknown>(refusal("127.0.0.1"), { ...slow, retryAfterSeconds: 1 })
      yield* TestClock.adjust("1 millis")
      permit("10.0.1.1")
      assert.isDefined(refusal("10.0.1.1"))
    })
  )

  it.effect("leaves half of that to those who had a connection within ten minutes", () =>
    Effect.gen(function* () {
      const { permit, refusal } = yield* counts({ ...MANY, handshakeRate: 2 })
      const known = permit("10.0.0.1")
      known.handshakeDone("admitted")
      yield* TestClock.adjust("1 minutes")
      for (let n = 0; n < 5; n++) permit("10.0.0.2").handshakeDone("undecided")
      assert.deepStrictEqual<unknown>(refusal("10.0.0.3"), { ...slow, retryAfterSeconds: 1 })
      known.release()
      yield* TestClock.adjust("599999 millis")
      for (let n = 0; n < 5; n++) permit("10.0.0.3").handshakeDone("undecided")
      assert.isDefined(refusal("10.0.0.3"))
      for (let n = 0; n < 4; n++) permit("10.0.0.1").release()
      permit("127.0.0.1").release()
      assert.isDefined(refusal("127.0.0.1"))
    })
  )

  it.effect(
    "is shared by all alike while no address has had a connection: what came to nothing is none, nor is this machine",
    () =>
      Effect.gen(function* () {
        const { permit, refusal } = yield* counts({ ...MANY, handshakeRate: 2 })
        permit("10.0.0.1").release()
        const undecided = permit("10.0.0.2")
        undecided.handshakeDone("undecided")
        undecided.release()
        const local = permit("127.0.0.1")
        local.handshakeDone("admitted")
        local.release()
        for (let n = 0; n < 7; n++) permit("10.0.0.3")
        assert.isDefined(refusal("10.0.0.3"))
      })
  )

  it.effect("of one address is as many at once as it may have connections; refused, one counts for ten", () =>
    Effect.gen(function* () {
      const { permit, refusal } = yield* counts({ ...MANY, maxConnectionsPerAddress: 20, handshakeRate: 1000 })
      const exceeded = { status: 429, reason: "handshake_rate", message: "too many handshakes from this address" }
      const over = (outcome: "admitted" | "refused" | "undecided", address: string) => {
        const one = permit(address)
        one.handshakeDone(outcome)
        one.release()
      }
      for (const outcome of ["admitted", "undecided"] as const) {
        for (let n = 0; n < 20; n++) over(outcome, `${outcome === "admitted" ? "10.0.0.1" : "10.0.0.2"}`)
      }
      for (const address of ["10.0.0.1", "10.0.0.2"])
        assert.deepStrictEqual<unknown>(refusal(address), { ...exceeded, retryAfterSeconds: 1 })
      for (let n = 0; n < 2; n++) over("refused", "10.0.0.3")
      assert.deepStrictEqual<unknown>(refusal("10.0.0.3"), { ...exceeded, retryAfterSeconds: 1 })
      for (let n = 0; n < 100; n++) over("refused", "127.0.0.1")
      // Four a second.
      yield* TestClock.adjust("249 millis")
      assert.isDefined(refusal("10.0.0.1"))
      yield* TestClock.adjust("1 millis")
      assert.isUndefined(refusal("10.0.0.1"))
      assert.isDefined(refusal("10.0.0.1"))
    })
  )

  it.effect("is none where it is 0", () =>
    Effect.gen(function* () {
      const { permit } = yield* counts({ ...MANY, handshakeRate: 0 })
      for (let n = 0; n < 2000; n++) {
        const one = permit("10.0.0.1")
        one.handshakeDone("refused")
        one.release()
      }
    })
  )
})

describe("the limits of a worker", () => {
  it.effect("are those of its primary, which counts for all", () =>
    Effect.gen(function* () {
      const [theirs, ours] = Channel.memory()
      const primary = new Link(theirs)
      SharedLimits.serve(
        yield* Limits.counts.pipe(Effect.provide(StatusSyncConfig.layer({ maxConnections: 1 }))),
        primary
      )
      primary.open()
      const link = new Link(ours)
      link.open()
      const worker = { link, reports: new Reports(link), number: 1, count: 2, port: undefined }
      const { acquire } = yield* Limits.Limits.pipe(
        Effect.provide(Limits.layer),
        Effect.provide(StatusSyncConfig.layer()),
        Effect.provideService(Primary.Primary, worker)
      )
      yield* acquire("10.0.0.1")
      assert.strictEqual((yield* Effect.flip(acquire("10.0.0.2"))).reason, "connections")
    })
  )
})

describe("the rate of publishing", () => {
  it.effect("gives two seconds' worth at once, and more in advance", () =>
    Effect.gen(function* () {
      const { publish } = yield* counts({ publishRate: 10 })
      const exceeded = {
        reason: "publish_rate",
        status: 429,
        message: "the p publishes more than 10 events a second"
      }
      assert.isUndefined(publish("p", 20))
      assert.deepStrictEqual<unknown>(publish("p", 1), { ...exceeded, retryAfterSeconds: 1 })
      assert.deepStrictEqual<unknown>(publish("p", 0), { ...exceeded, retryAfterSeconds: 1 })
      assert.isUndefined(publish("q", 45))
      assert.strictEqual(publish("q", 0)?.retryAfterSeconds, 3)
      yield* TestClock.adjust("100 millis")
      // To ask takes nothing.
      for (let n = 0; n < 3; n++) assert.isUndefined(publish("p", 0))
      assert.isUndefined(publish("p", 1))
      assert.isDefined(publish("p", 0))
    })
  )

  it.effect("is remembered however many others only ask", () =>
    Effect.gen(function* () {
      const { publish } = yield* counts({ publishRate: 10 })
      assert.isUndefined(publish("p", 1000))
      for (let n = 0; n < 10_000; n++) publish(`asks ${n}`, 0)
      assert.isDefined(publish("p", 0))
    })
  )

  it.effect("counts by the principal and its tenants, and by the address where there is no principal", () =>
    Effect.gen(function* () {
      const { takePublishes } = yield* Limits.Limits
      const may = (principal: typeof anonymous, address: string) =>
        Effect.map(Effect.exit(takePublishes(principal, address, 2)), Exit.isSuccess)
      const publisher = { ...anonymous, name: "p" }
      const results: Array<boolean> = []
      for (const [principal, address] of [
        [publisher, "10.0.0.1"],
        [publisher, "10.0.0.2"],
        [{ ...publisher, name: "q" }, "10.0.0.1"],
        [{ ...publisher, tenants: new Set(["a", "b"]) }, "10.0.0.1"],
        [{ ...publisher, tenants: new Set(["b", "a"]) }, "10.0.0.1"],
        [{ ...publisher, tenants: new Set(["a"]) }, "10.0.0.1"],
        [{ ...publisher, tenants: new Set(["default"]) }, "10.0.0.1"],
        [anonymous, "10.0.0.1"],
        [anonymous, "10.0.0.1"],
        [anonymous, "10.0.0.2"]
      ] as const)
        results.push(yield* may(principal, address))
      assert.deepStrictEqual(results, [true, false, true, true, false, true, false, true, false, true])
    }).pipe(Effect.provide(Limits.layer), Effect.provide(StatusSyncConfig.layer({ publishRate: 1 })))
  )

  it.effect("knows the client behind a proxy that is trusted", () =>
    Effect.gen(function* () {
      const { clientAddress } = yield* Limits.Limits
      assert.strictEqual(clientAddress("10.0.0.1", "203.0.113.7"), "203.0.113.7")
      assert.strictEqual(clientAddress("10.0.0.2", "203.0.113.7"), "10.0.0.2")
    }).pipe(Effect.provide(Limits.layer), Effect.provide(StatusSyncConfig.layer({ trustedProxies: ["10.0.0.1"] })))
  )
})
