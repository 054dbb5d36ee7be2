import { once } from "node:events"
import { createServer } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, TestClock } from "effect"
import WebSocket from "ws"
import { Authenticator, Connections, StatusSync, type StatusSyncConfig } from "../../../../src/stratix-gateway/index.js"
import { StatusSyncTest, TestClients } from "../../../../src/stratix-testing/index.js"
import { nextTurn } from "../../suites/transportSuite.js"
import { quiet } from "../../support/gateway.js"
import { portOf, startGateway } from "../../support/standAlone.js"

const sync = { protocols: ["stratix.sync.v1"] }

const over = (settings: Partial<StatusSyncConfig.Settings> = {}) =>
  Layer.provideMerge(StatusSyncTest.layerWith({ drainTimeout: "5 seconds", ...settings }), quiet)

const publish = (count: number) =>
  Effect.gen(function* () {
    const { broadcast } = yield* StatusSync.StatusSync
    for (let n = 0; n < count; n++) {
      yield* broadcast({ eventType: "stratix:n", payload: { n, pad: "x".repeat(100) } })
    }
  })

const numbers = (messages: ReadonlyArray<{ readonly eventType: string; readonly payload: object }>) =>
  messages.flatMap(({ eventType, payload }) => (eventType === "stratix:n" && "n" in payload ? [payload.n] : []))

const upTo = (count: number) => Array.from({ length: count }, (_, n) => n)

const drain = Effect.flatMap(Connections.Connections, (connections) => connections.drain)

describe("a drain, to the millisecond", () => {
  it.effect("refuses one who came before it and was recognised only after it: it takes no place in the pool", () =>
    Effect.gen(function* () {
      const asked = yield* Deferred.make<void>()
      const known = yield* Deferred.make<Authenticator.Principal>()
      const slow = Layer.scoped(
        Authenticator.Authenticator,
        Authenticator.make({
          verifiers: [{ verify: () => Effect.zipRight(Deferred.succeed(asked, undefined), Deferred.await(known)) }]
        })
      )
      yield* Effect.gen(function* () {
        const { count } = yield* Connections.Connections
        const late = yield* Effect.fork(Effect.flip(TestClients.connect()))
        yield* Deferred.await(asked)
        yield* drain
        yield* Deferred.succeed(known, Authenticator.anonymous)
        const refusal = yield* Fiber.join(late)
        assert.deepStrictEqual([refusal.status, refusal.reason], [503, "closing"])
        assert.strictEqual(yield* count, 0)
      }).pipe(Effect.provide(Layer.provideMerge(StatusSyncTest.layerWith({ drainTimeout: "5 seconds" }, slow), quiet)))
    })
  )

  it.effect("ends at once where everybody reads: what was published before, then closing, then 1001", () =>
    Effect.gen(function* () {
      const plain = yield* TestClients.connect()
      const synced = yield* TestClients.connect(sync)
      yield* synced.takeN(2)
      yield* publish(3)
      yield* drain
      assert.deepStrictEqual(numbers(yield* plain.received), [0, 1, 2])
      assert.strictEqual((yield* plain.received).length, 4)
      const told = yield* synced.received
      assert.deepStrictEqual(numbers(told), [0, 1, 2])
      assert.strictEqual(told.at(-1)?.eventType, "stratix:closing")
      for (const client of [plain, synced]) assert.strictEqual((yield* client.closed).code, 1001)
      assert.strictEqual((yield* Effect.flip(TestClients.connect())).status, 503)
    }).pipe(Effect.provide(over()))
  )

  it.effect("asks its clients to come back at different times", () =>
    Effect.gen(function* () {
      const clients = yield* Effect.replicateEffect(TestClients.connect(sync), 300)
      yield* drain
      const waits = new Set<number>()
      for (const client of clients) {
        const last = (yield* client.received).at(-1)
        if (last?.eventType !== "stratix:closing") return assert.fail(`the last message is ${last?.eventType}`)
        if (!("retryAfterMs" in last.payload) || typeof last.payload.retryAfterMs !== "number") return assert.fail()
        const { retryAfterMs } = last.payload
        assert.isAtLeast(retryAfterMs, 500)
        assert.isBelow(retryAfterMs, 5000)
        waits.add(Math.floor(retryAfterMs / 500))
      }
      // Nine half seconds: with 300 clients, none of them stays empty but by a chance of one in 10^14.
      assert.strictEqual(waits.size, 9)
    }).pipe(Effect.provide(over()))
  )

  it.effect("waits until the deadline for one who does not answer the close, and terminates it then", () =>
    Effect.gen(function* () {
      const frozen = yield* TestClients.connect()
      const reads = yield* TestClients.connect()
      yield* frozen.freeze
      yield* publish(3)
      const draining = yield* Effect.fork(drain)
      yield* nextTurn
      assert.strictEqual((yield* reads.closed).code, 1001)
      yield* TestClock.adjust("4999 millis")
      assert.isTrue(yield* frozen.isOpen)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* frozen.closed).code, 1006)
      yield* Fiber.join(draining)
    }).pipe(Effect.provide(over()))
  )

  it.effect("gives a slow one until the deadline: it loses nothing, and is closed with 1001", () =>
    Effect.gen(function* () {
      const slow = yield* TestClients.connect()
      yield* slow.freeze
      yield* publish(3)
      const draining = yield* Effect.fork(drain)
      yield* TestClock.adjust("4999 millis")
      yield* slow.thaw
      yield* Fiber.join(draining)
      assert.deepStrictEqual(numbers(yield* slow.received), [0, 1, 2])
      assert.strictEqual((yield* slow.closed).code, 1001)
    }).pipe(Effect.provide(over()))
  )

  it.effect("gives one who fell behind half of the time to catch up, and the others wait with it", () =>
    Effect.gen(function* () {
      const slow = yield* TestClients.connect()
      const other = yield* TestClients.connect()
      yield* slow.freeze
      yield* publish(10)
      yield* StatusSyncTest.settled.pipe(Effect.timeout("1 millis"), Effect.fork)
      yield* TestClock.adjust("1 millis")
      // Above the high-water mark: the rest is in the log only.
      yield* publish(10)
      const draining = yield* Effect.fork(drain)
      yield* TestClock.adjust("2499 millis")
      assert.isTrue(yield* other.isOpen)
      yield* slow.thaw
      yield* Fiber.join(draining)
      assert.strictEqual(numbers(yield* slow.received).length, 20)
      for (const client of [slow, other]) assert.strictEqual((yield* client.closed).code, 1001)
    }).pipe(Effect.provide(over({ highWaterMark: 500 })))
  )

  it.effect("is over at the deadline for one who fell behind and stays there", () =>
    Effect.gen(function* () {
      const frozen = yield* TestClients.connect()
      const other = yield* TestClients.connect(sync)
      yield* frozen.freeze
      yield* publish(10)
      const draining = yield* Effect.fork(drain)
      yield* TestClock.adjust("2499 millis")
      assert.isTrue(yield* other.isOpen)
      yield* TestClock.adjust("1 millis")
      yield* nextTurn
      assert.strictEqual((yield* other.closed).code, 1001)
      yield* TestClock.adjust("2499 millis")
      assert.isTrue(yield* frozen.isOpen)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* frozen.closed).code, 1006)
      yield* Fiber.join(draining)
    }).pipe(Effect.provide(over({ highWaterMark: 500 })))
  )
})

/** A client of the stand-alone gateway. */
class Dashboard {
  readonly messages: Array<{ readonly eventType: string; readonly payload: Record<string, unknown> }> = []
  readonly socket: WebSocket
  readonly closed: Promise<number>
  private look = () => {}

  constructor(port: number, protocols: ReadonlyArray<string> = []) {
    this.socket = new WebSocket(`ws://127.0.0.1:${port}/`, [...protocols], { perMessageDeflate: false })
    this.socket.on("message", (data: Buffer) => {
      this.messages.push(JSON.parse(data.toString()))
      this.look()
    })
    this.socket.on("error", () => undefined)
    this.closed = once(this.socket, "close").then(([code]) => code)
  }

  /** Completes once it has this many messages. */
  has(count: number): Promise<void> {
    return new Promise((resolve) => {
      this.look = () => {
        if (this.messages.length >= count) resolve()
      }
      this.look()
    })
  }
}

const post = async (port: number, events: ReadonlyArray<unknown>) => {
  const answer = await fetch(`http://127.0.0.1:${port}/api/stratix/events`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(events)
  })
  assert.strictEqual(answer.status, 202)
}

/** Asks again and again until the answer is as wanted. */
const until = async <A>(ask: () => Promise<A>, wanted: (answer: A) => boolean): Promise<A> => {
  for (;;) {
    const answer = await ask()
    if (wanted(answer)) return answer
  }
}

const readyz = async (port: number) => {
  const answer = await fetch(`http://127.0.0.1:${port}/readyz`)
  return { status: answer.status, body: await answer.json() }
}

/** Publishes until a client that does not read is held up at the gateway, beyond what the kernel keeps for it; answers how many events that were. */
const holdUp = async (port: number) => {
  const pad = "x".repeat(100_000)
  let n = 0
  await until(
    async () => {
      await post(
        port,
        upTo(30).map(() => ({ eventType: "stratix:n", payload: { n: n++, pad } }))
      )
      const answer = await fetch(`http://127.0.0.1:${port}/api/stratix/connections`)
      const { connections }: { connections: ReadonlyArray<{ state: string }> } = await answer.json()
      return connections.some(({ state }) => state === "stalled")
    },
    (isStalled) => isStalled
  )
  return n
}

/** A process that has nothing to wait for ends within this time after its deadline, on a busy machine. */
const MARGIN_MS = 10_000

describe("the stand-alone gateway on SIGTERM", () => {
  it("tells everybody, loses nothing, answers readyz with 503 meanwhile, and ends with exit code 0", async () => {
    const gateway = await startGateway({ STRATIX_DRAIN_TIMEOUT: "20 seconds" })
    const port = await portOf(gateway)
    const synced = upTo(8).map(() => new Dashboard(port, ["stratix.sync.v1"]))
    const plain = new Dashboard(port)
    const slow = new Dashboard(port, ["stratix.sync.v1"])
    await Promise.all([...synced, slow].map((dashboard) => dashboard.has(2)))
    await plain.has(1)
    slow.socket.pause()
    const count = await holdUp(port)

    gateway.child.kill("SIGTERM")
    // The slow one holds the drain up.
    const refused = await until(
      () => readyz(port),
      ({ status }) => status !== 200
    )
    assert.deepStrictEqual(refused, { status: 503, body: { status: "draining" } })
    const late = new WebSocket(`ws://127.0.0.1:${port}/`)
    late.on("error", () => undefined)
    const [, response] = await once(late, "unexpected-response")
    assert.strictEqual(response.statusCode, 503)
    late.terminate()
    // Once more does no harm.
    gateway.child.kill("SIGTERM")
    slow.socket.resume()

    for (const dashboard of [...synced, plain, slow]) {
      assert.strictEqual(await dashboard.closed, 1001)
      assert.deepStrictEqual(numbers(dashboard.messages), upTo(count))
    }
    const waits = [...synced, slow].map(({ messages }) => {
      assert.strictEqual(messages.at(-1)?.eventType, "stratix:closing")
      return messages.at(-1)?.payload["retryAfterMs"]
    })
    assert.isAbove(new Set(waits).size, 1)
    assert.isFalse(plain.messages.some(({ eventType }) => eventType === "stratix:closing"))
    const { code, signal } = await gateway.ended
    assert.deepStrictEqual([code, signal], [0, null])
  }, 60_000)

  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    it(`ends at the deadline although one client is frozen (${signal}, and a second one soon after)`, async () => {
      const gateway = await startGateway({ STRATIX_DRAIN_TIMEOUT: "2 seconds" })
      const port = await portOf(gateway)
      const frozen = new Dashboard(port)
      const other = new Dashboard(port)
      await Promise.all([frozen.has(1), other.has(1)])
      frozen.socket.pause()
      const count = await holdUp(port)
      const before = performance.now()
      gateway.child.kill(signal)
      await until(
        () => readyz(port),
        ({ status }) => status === 503
      )
      gateway.child.kill(signal)
      assert.strictEqual(await other.closed, 1001)
      assert.deepStrictEqual(numbers(other.messages), upTo(count))
      const ended = await gateway.ended
      const took = performance.now() - before
      assert.deepStrictEqual([ended.code, ended.signal], [0, null])
      assert.isAtLeast(took, 2000)
      assert.isBelow(took, 2000 + MARGIN_MS)
      frozen.socket.terminate()
    }, 60_000)
  }
})

describe("the stand-alone gateway that cannot start", () => {
  const complaint = async (environment: Record<string, string>) => {
    const { code, output } = await (await startGateway(environment)).ended
    assert.strictEqual(code, 1)
    const lines = output.trimEnd().split("\n")
    assert.strictEqual(lines.length, 1, output)
    return output
  }

  it("says in one line which setting is wrong, and ends with exit code 1", async () => {
    const cases: ReadonlyArray<readonly [Record<string, string>, RegExp]> = [
      [{ STRATIX_PORT: "a port" }, /STRATIX_PORT.*integer.*a port/],
      [{ STRATIX_PORT: "70000" }, /STRATIX_PORT.*0 to 65535.*70000/],
      [{ STRATIX_PORT: "70000", STRATIX_LOG_LEVEL: "none" }, /STRATIX_PORT.*0 to 65535.*70000/],
      [{ STRATIX_DRAIN_TIMEOUT: "30 days" }, /STRATIX_DRAIN_TIMEOUT.*at most 24 days/],
      [{ STRATIX_HEARTBEAT_TIMEOUT: "soon" }, /STRATIX_HEARTBEAT_TIMEOUT.*duration.*soon/],
      [{ STRATIX_HEARTBEAT_TIMEOUT: "10 seconds" }, /STRATIX_HEARTBEAT_TIMEOUT.*above the interval/]
    ]
    await Promise.all(cases.map(async ([environment, pattern]) => assert.match(await complaint(environment), pattern)))
  }, 60_000)

  it("says in one line which port is in use, and what to do", async () => {
    const taken = createServer().listen(0, "127.0.0.1")
    await once(taken, "listening")
    const address = taken.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    assert.match(
      await complaint({ STRATIX_PORT: String(port) }),
      new RegExp(`127.0.0.1:${port} is already in use.*STRATIX_PORT`)
    )
    taken.close()
  }, 60_000)
})
