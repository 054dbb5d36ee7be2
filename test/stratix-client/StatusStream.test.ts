import { assert, describe, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as StatusStream from "../../src/stratix-client/StatusStream.js"
import * as Types from "../../src/stratix-core/event-types.js"
import { World } from "./support/World.js"

/** Only the sockets of the world: time and chance are Effect's. */
const url = "ws://gateway.test:3001/"

const make = <R = never>(world: World, options: Omit<StatusStream.Options<R>, "url" | "WebSocket"> = {}) =>
  StatusStream.make({ url, WebSocket: world.WebSocket, transport: "websocket", ...options })

/** A consumer that has begun: its first value is there. */
const collect = <A, E>(stream: Stream.Stream<A, E>) =>
  Effect.gen(function* () {
    const begun = yield* Deferred.make<void>()
    const seen: Array<A> = []
    const fiber = yield* stream.pipe(
      Stream.runForEach((value) => {
        seen.push(value)
        return Deferred.succeed(begun, undefined)
      }),
      Effect.fork
    )
    yield* Deferred.await(begun)
    return { seen, fiber }
  })

/** Lets every fiber that is ready go on. */
const settled = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))

describe("StatusStream", () => {
  it.scoped("gives the state, its changes and how true it is", () =>
    Effect.gen(function* () {
      const world = new World()
      const { freshness, state } = yield* make(world)
      const tags = yield* collect(Stream.map(freshness.changes, ({ _tag }) => _tag))
      const agents = yield* collect(
        Stream.map(state.changes, ({ agents }) => [...agents.values()].map(({ payload }) => payload.status))
      )
      world.socket.welcome()
      world.socket.sync("snapshot", "o1", 1)
      world.socket.agent("a1", "busy", "o1")
      yield* settled
      world.socket.agent("a1", "online", "o2")
      yield* settled
      assert.deepStrictEqual(agents.seen, [[], ["busy"], ["online"]])
      assert.deepStrictEqual(tags.seen, ["connecting", "catching-up", "live"])
      assert.strictEqual((yield* freshness.get)._tag, "live")
      assert.strictEqual((yield* state.get).agents.get("a1")?.payload.status, "online")
    })
  )

  it.scoped("gives a slow consumer of the state the newest one only", () =>
    Effect.gen(function* () {
      const world = new World()
      const { state } = yield* make(world)
      const { seen } = yield* collect(state.changes)
      world.socket.live()
      for (const status of ["busy", "online", "error"]) world.socket.agent("a1", status, `o-${status}`)
      yield* settled
      assert.deepStrictEqual(
        seen.map(({ agents }) => agents.get("a1")?.payload.status),
        [undefined, "error"]
      )
    })
  )

  it.effect("gives every event and ends with the scope", () =>
    Effect.gen(function* () {
      const world = new World()
      const scope = yield* Scope.make()
      const { events } = yield* Scope.extend(make(world), scope)
      const fiber = yield* Effect.fork(Stream.runCollect(Stream.map(events, ({ offset }) => offset)))
      yield* settled
      world.socket.live()
      world.socket.agent("a1", "busy", "o1")
      world.socket.agent("a1", "online", "o2")
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(Chunk.toReadonlyArray(yield* Fiber.join(fiber)), ["o1", "o2"])
      assert.strictEqual(world.socket.closedWith, 1000)
      assert.deepStrictEqual(Chunk.toReadonlyArray(yield* Stream.runCollect(events)), [])
    })
  )

  it.scoped("loses the oldest events of a consumer that is more than the buffer behind", () =>
    Effect.gen(function* () {
      const world = new World()
      const { events } = yield* make(world, { bufferSize: 2 })
      const { seen } = yield* collect(
        Stream.merge(
          Stream.succeed("begun"),
          Stream.map(events, ({ offset }) => offset)
        )
      )
      yield* settled
      world.socket.live()
      for (const offset of ["o1", "o2", "o3", "o4"]) world.socket.agent("a1", "busy", offset)
      yield* settled
      assert.strictEqual(seen.at(-1), "o4")
      assert.isBelow(seen.length, 5)
    })
  )

  it.scoped.each([
    [4401, "Unauthorized"],
    [4403, "Forbidden"],
    [1008, "Rejected"]
  ] as const)("fails the events after %i", ([code, reason]) =>
    Effect.gen(function* () {
      const world = new World()
      const { events, freshness } = yield* make(world)
      const { fiber } = yield* collect(freshness.changes)
      const failed = yield* Effect.fork(Effect.flip(Stream.runDrain(events)))
      yield* settled
      world.socket.live()
      world.socket.end(code, "why")
      const error = yield* Fiber.join(failed)
      assert.strictEqual(error.reason, reason)
      assert.strictEqual(error.message, `why (${code})`)
      yield* Fiber.join(fiber)
      assert.strictEqual((yield* Effect.flip(Stream.runDrain(events))).reason, reason)
    })
  )

  it.scoped("fails at once with options that cannot work", () =>
    Effect.gen(function* () {
      const { WebSocket } = new World()
      const noAddress = yield* Effect.flip(StatusStream.make({ url: "no address", WebSocket }))
      assert.strictEqual(noAddress.reason, "InvalidOptions")
      const { subscribe } = yield* StatusStream.make({ url, WebSocket })
      assert.strictEqual((yield* Effect.flip(subscribe({ agents: ["\ud800"] }))).reason, "InvalidOptions")
    })
  )

  it.scoped("changes the filter", () =>
    Effect.gen(function* () {
      const world = new World()
      const { subscribe } = yield* make(world)
      world.socket.live()
      yield* subscribe({ agents: ["a1"] })
      assert.deepStrictEqual(world.socket.sent, [{ type: "subscribe", agents: ["a1"] }])
    })
  )

  it.scoped("finds a silent gateway stale and then dead, in the time of the test", () =>
    Effect.gen(function* () {
      const world = new World()
      const { freshness } = yield* make(world)
      world.socket.live()
      yield* TestClock.adjust("44999 millis")
      assert.strictEqual((yield* freshness.get)._tag, "live")
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* freshness.get, { _tag: "stale", since: 0 })
      yield* TestClock.adjust("14999 millis")
      assert.isUndefined(world.socket.closedWith)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* freshness.get)._tag, "reconnecting")
    })
  )

  it.scoped("says on Effect's clock that what comes is old, and that nothing comes, by bounds of its own", () =>
    Effect.gen(function* () {
      const world = new World()
      const { freshness } = yield* make(world, { maxLag: "500 millis", maxSilence: "3 seconds" })
      world.socket.sentAt = 1000
      world.socket.live()
      yield* TestClock.adjust("2 seconds")
      world.socket.sentAt = 2600
      world.socket.heartbeat()
      assert.strictEqual((yield* freshness.get)._tag, "live")
      world.socket.sentAt = 2400
      world.socket.heartbeat()
      assert.deepStrictEqual(yield* freshness.get, { _tag: "behind", ms: 1000 })
      world.socket.sentAt = 3000
      world.socket.heartbeat()
      yield* TestClock.adjust("2999 millis")
      assert.strictEqual((yield* freshness.get)._tag, "live")
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* freshness.get, { _tag: "stale", since: 2000 })
    })
  )

  it.scoped("waits as Effect's randomness says, up to the cap", () =>
    Effect.gen(function* () {
      const world = new World()
      yield* make(world, { backoffBase: "2 seconds", backoffCap: "3 seconds" }).pipe(
        Effect.withRandom(Random.fixed([0.25, 0.5, 0]))
      )
      world.socket.end()
      yield* TestClock.adjust("499 millis")
      assert.strictEqual(world.sockets.length, 1)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(world.sockets.length, 2)
      world.socket.end()
      yield* TestClock.adjust("1499 millis")
      assert.strictEqual(world.sockets.length, 2)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(world.sockets.length, 3)
      world.socket.end()
      assert.strictEqual(world.sockets.length, 3)
      yield* settled
      assert.strictEqual(world.sockets.length, 4)
    })
  )

  it.scoped("gets tokens from an effect with its own requirements, again after a failure and a refusal", () =>
    Effect.gen(function* () {
      const world = new World()
      class Tokens extends Context.Tag("test/Tokens")<Tokens, { readonly next: Effect.Effect<string, Error> }>() {}
      const answers = [Effect.fail(new Error("offline")), Effect.succeed("t1"), Effect.succeed("t2")]
      const tokens = Layer.succeed(Tokens, { next: Effect.suspend(() => answers.shift() ?? Effect.never) })
      yield* make(world, {
        token: Effect.map(
          Effect.flatMap(Tokens, ({ next }) => next),
          (token) => Redacted.make(token)
        )
      }).pipe(Effect.provide(tokens))
      yield* settled
      assert.strictEqual(world.sockets.length, 0)
      yield* TestClock.adjust("1 seconds")
      yield* settled
      assert.include(world.socket.protocols, `${Types.BEARER_PROTOCOL_PREFIX}t1`)
      world.socket.live()
      world.socket.end(4401)
      yield* TestClock.adjust("2 seconds")
      yield* settled
      assert.include(world.socket.protocols, `${Types.BEARER_PROTOCOL_PREFIX}t2`)
    })
  )

  it.effect("leaves nothing behind: after the scope no timer brings it back", () =>
    Effect.gen(function* () {
      const world = new World()
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* make(world)
          world.socket.end()
        })
      )
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(world.sockets.length, 1)
    })
  )

  it.effect("is a layer", () =>
    Effect.gen(function* () {
      const { freshness } = yield* StatusStream.StatusStream
      assert.strictEqual((yield* freshness.get)._tag, "connecting")
    }).pipe(Effect.provide(StatusStream.layer({ url, WebSocket: new World().WebSocket })))
  )
})
