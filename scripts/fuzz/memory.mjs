/** The bulk: messages, query strings and headers over the in-memory transport, where a million of them take a minute. */
import { Effect, Either, Logger, Schema } from "effect"
import { EventLog, StatusSync } from "stratix-status-sync"
import { Broadcast } from "stratix-status-sync/internals"
import { ServerMessage } from "stratix-status-sync/protocol"
import { StatusSyncTest, TestClients } from "stratix-status-sync/testing"
import { seeded } from "../lib/seeded.mjs"
import { inputs } from "./inputs.mjs"
import { CLOSE_CODES, STATUSES } from "./outcome.mjs"

/** Places in the gateway: far above what the fuzzer holds at a time, far below what it opens, so that a place that is not given back shows as a 503. */
const PLACES = 200
const RESIDENTS = 50

/** A good event is published after so many inputs. */
const PUBLISH_EVERY = 64

/** One in so many connections has everything it was sent decoded by the Schema of the protocol; all others only as JSON. */
const DECODE_EVERY = 20

const decode = Schema.decodeUnknownEither(Schema.parseJson(ServerMessage))
const isControl = (text, name) => text.startsWith(`{"eventType":"stratix:${name}"`)
/** A filter is answered, and what it names that nothing has is told besides. */
const isHint = (text) => text.includes("nothing has been published yet of type")

const isAnswer = (text) =>
  !isHint(text) && (isControl(text, "error") || isControl(text, "subscribed") || isControl(text, "heartbeat"))

/** Whatever is an error to the gateway itself is one to the fuzzer. */
export const errorsTo = (outcome) =>
  Logger.replace(
    Logger.defaultLogger,
    Logger.make(({ cause, logLevel, message }) => {
      if (logLevel.ordinal >= 40_000) outcome.breaks("an error was logged", `${message} ${cause}`)
    })
  )

/** Clients that do nothing wrong, connected all along. */
export const goodClients = Effect.all([
  TestClients.connect({ query: "agents=good" }),
  TestClients.connect({ query: "agents=good", protocols: ["stratix.sync.v1"] }),
  TestClients.connect({ query: "agents=good&events=agent_status_update" })
])

/** Each of them must have got exactly these, in this order.
 * @param {ReadonlyArray<TestClients.TestClient>} clients
 * @param {ReadonlyArray<string>} expected
 * @param {import("./outcome.mjs").Outcome} outcome */
export const checkGood = (clients, expected, outcome) =>
  Effect.forEach(clients, (client, i) =>
    Effect.gen(function* () {
      const got = (yield* client.received)
        // A body of the fuzzer may well be a good event about the same agent.
        .filter(({ requestId }) => requestId.startsWith("good-"))
      const ids = got.map(({ requestId }) => requestId)
      if (!(yield* client.isOpen)) outcome.breaks("a good client was closed", yield* client.closed)
      if (JSON.stringify(ids) !== JSON.stringify(expected))
        outcome.breaks(`good client ${i} got other events than were published`, {
          got: ids.length,
          expected: expected.length
        })
    })
  )

/** @param {import("./outcome.mjs").Outcome} outcome
 * @param {number} count
 * @param {number} seed */
const run = (outcome, count, seed) =>
  Effect.gen(function* () {
    const sync = yield* StatusSync.StatusSync
    const log = yield* EventLog.EventLog
    const random = seeded(seed)
    const make = inputs(random)
    const good = yield* goodClients
    const expected = []
    /** @type {Array<TestClients.TestClient>} */
    const residents = []
    let sent = 0
    let connections = 0

    const spend = (kind) =>
      Effect.suspend(() => {
        outcome.input(kind)
        if (++sent % PUBLISH_EVERY !== 0) return Effect.void
        const requestId = `good-${sent}`
        expected.push(requestId)
        return Effect.zipRight(
          sync.broadcastUnknown({
            eventType: "stratix:agent_status_update",
            payload: { agentId: "good", status: "busy" },
            requestId
          }),
          StatusSyncTest.settled
        )
      })

    /** What one client was sent must be JSON of the protocol, and an answer to each of its messages. */
    const inspect = (/** @type {TestClients.TestClient} */ client, texts, isOpen) =>
      Effect.gen(function* () {
        const raw = yield* client.raw
        const answers = raw.filter(isAnswer).length
        // The last one may be answered by the close.
        if (isOpen ? answers !== texts.length : answers > texts.length)
          outcome.breaks(`${texts.length} messages had ${answers} answers`, texts.slice(0, 3))
        const deep = ++connections % DECODE_EVERY === 0
        for (const text of raw) {
          if (deep && Either.isLeft(decode(text))) outcome.breaks("not a message of the protocol", text)
          else {
            const { eventType, payload, requestId, timestamp } = JSON.parse(text)
            if (
              typeof eventType !== "string" ||
              typeof payload !== "object" ||
              typeof timestamp !== "number" ||
              typeof requestId !== "string"
            )
              outcome.breaks("not an envelope", text)
          }
        }
      })

    const talk = (/** @type {TestClients.TestClient} */ client) =>
      Effect.gen(function* () {
        const texts = []
        const turns = random.between(1, 60)
        for (let turn = 0; turn < turns && sent < count; turn++) {
          if (random.chance(0.005)) {
            yield* client.sendBinary(new Uint8Array(random.between(0, 10)))
            yield* spend("binary messages")
          } else {
            const text = make.message()
            texts.push(text)
            yield* client.sendText(text)
            yield* spend("messages")
          }
          if (!(yield* client.isOpen)) {
            const { code } = yield* client.closed
            outcome.end(`close ${code}`)
            if (!CLOSE_CODES.has(code)) outcome.breaks(`closed with ${code}`, texts.at(-1))
            return yield* inspect(client, texts, false)
          }
        }
        yield* inspect(client, texts, true)
        if (random.chance(0.1)) residents.push(client)
        else yield* random.chance(0.5) ? client.close() : client.drop
        const oldest = residents.length > RESIDENTS ? residents.shift() : undefined
        if (oldest !== undefined) yield* oldest.drop
      })

    while (sent < count) {
      const query = random.chance(0.4) ? make.query(log.head().offset) : "events=fuzz_none"
      const headers = random.chance(0.25) ? make.headers() : undefined
      const result = yield* Effect.either(
        TestClients.connect({
          query,
          ...(headers !== undefined && { headers }),
          ...(random.chance(0.3) && { protocols: ["stratix.sync.v1"] })
        })
      )
      yield* spend(headers === undefined ? "query strings" : "headers and query strings")
      if (result._tag === "Right") {
        yield* talk(result.right)
        continue
      }
      const { body, status } = result.left
      outcome.end(`status ${status}`)
      if (!STATUSES.has(status)) outcome.breaks(`refused with ${status}`, { query, headers })
      if (status === 503) outcome.breaks("there is no place any more", body)
      const { error, message } = JSON.parse(body)
      if (typeof error !== "string" || typeof message !== "string") outcome.breaks("a refusal without its reason", body)
    }

    for (const client of residents) yield* client.drop
    yield* StatusSyncTest.settled
    yield* checkGood(good, expected, outcome)
    for (const client of good) yield* client.close()
    const left = yield* sync.clientCount
    const { groups } = (yield* Broadcast.Broadcast).stats()
    if (left !== 0 || groups !== 0) outcome.breaks("the pool is not empty", { left, groups })
    outcome.end(`good events delivered exactly ×${good.length}: ${expected.length}`)
  })

/** Sends `count` inputs; whatever must not be is in the outcome.
 * @type {(outcome: import("./outcome.mjs").Outcome, count: number, seed: number) => import("effect").Effect.Effect<void, unknown>} */
export const fuzzMemory = (outcome, count, seed) =>
  run(outcome, count, seed).pipe(
    Effect.provide(
      StatusSyncTest.layerWith({
        maxConnections: PLACES,
        trustedProxies: ["127.0.0.1"],
        maxConnectionsPerAddress: PLACES,
        queryTokens: true
      })
    ),
    Effect.provide(errorsTo(outcome)),
    Effect.scoped
  )
