import { assert, describe, it } from "@effect/vitest"
import { Effect, FastCheck as fc, Layer, Logger, Schema } from "effect"
import {
  CONNECTED,
  endedKeys,
  eventKey,
  type ServerMessage,
  SUBSCRIBED,
  SYNC
} from "../../../src/stratix-core/index.js"
import {
  DeclaredEvents,
  EventLog,
  Filter,
  StatusSync,
  type StatusSyncConfig
} from "../../../src/stratix-gateway/index.js"
import { Broadcast } from "../../../src/stratix-gateway/internals.js"
import { StatusSyncTest, TestClients } from "../../../src/stratix-testing/index.js"
import { nextTurn, untilCount } from "../../support/waiting.js"
import { type Form, filterOf, filters, type Kind, type Step, step, Zone } from "./lawsScript.js"

interface Actor {
  client: TestClients.TestClient
  readonly form: Form
  readonly query: string
  /** What it has processed of its connections before, until each was cut. */
  processed: ReadonlyArray<ServerMessage>
  filter: Filter.Filter
  /** Those it had before. */
  readonly filtersBefore: Array<Filter.Filter>
  joinedAt: number
  isFrozen: boolean
  wasFrozen: boolean
  dropped: boolean
  cameBack: boolean
}

interface Published {
  readonly entry: EventLog.LogEntry
  readonly requestId: string
}

const decodeRequestId = Schema.decodeUnknownSync(Schema.parseJson(Schema.Struct({ requestId: Schema.String })))

const isKeyless = ({ key, removes }: EventLog.Draft) => key === undefined && removes.length === 0

/** What is folded from the messages of a connection: of each key its newest event. */
const stateOf = (
  messages: ReadonlyArray<ServerMessage & { readonly key?: string }>,
  isSync: boolean
): ReadonlyMap<string, string> => {
  const state = new Map<string, string>()
  for (const message of messages) {
    const { eventType, payload, requestId } = message
    if (eventType === SYNC && "mode" in payload && payload.mode === "snapshot") state.clear()
    const fields: { readonly [name: string]: unknown } = { ...payload }
    const event = { eventType, payload: fields }
    // A plain client is not told of the key: it must know the declaration.
    const own = isSync ? message.key : fields["zoneId"]
    const key = eventKey({ ...event, key: eventType === Zone.eventType ? String(own) : undefined })
    if (key !== undefined) state.set(key, requestId)
    for (const ended of endedKeys(event)) state.delete(ended)
  }
  return state
}

/** Laws 1 to 6, against a model: what was published, and who was there with which filter. */
export const lawsSuite = (
  name: string,
  layer: (settings: Partial<StatusSyncConfig.Settings>) => Layer.Layer<StatusSyncTest.Services>,
  options: {
    readonly runs: number
    readonly settings: Partial<StatusSyncConfig.Settings>
    readonly padding: number
    /** Who must have got every event: over real sockets a burst can be too much for anybody, so there it depends on the history. */
    readonly exact: "kept up" | "all" | "none"
  }
) => {
  const pad = "x".repeat(options.padding)

  const check = (script: ReadonlyArray<Step>) =>
    Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      const log = yield* EventLog.EventLog
      const broadcast = yield* Broadcast.Broadcast
      const actors: Array<Actor> = []
      const published: Array<Published> = []
      /** By the request id. */
      const offsets = new Map<string, string>()
      let n = 0

      /** Everything that entered the log since the last look, in its order. */
      const record = () => {
        for (const entry of log.tail(published.length) ?? []) {
          const { requestId } = decodeRequestId(entry.json)
          published.push({ entry, requestId })
          offsets.set(requestId, entry.offset)
        }
      }
      const publish = (t: Kind, id: number) =>
        Effect.gen(function* () {
          n++
          if (t === "agent") yield* sync.notifyAgentStatus(`a${id}`, n % 2 === 0 ? "online" : "busy")
          else if (t === "create") yield* sync.notifyAgentCreate(`a${id}`, `${n}`, "coder")
          else if (t === "command") yield* sync.notifyCommandStatus(`c${id}`, `a${id}`, "running", n % 100, pad)
          else if (t === "move") yield* sync.notifyCommandStatus(`c${id}`, `a${n % 3}`, "running", n % 100, pad)
          else if (t === "finish") yield* sync.notifyCommandStatus(`c${id}`, `a${id}`, "success", 100, pad)
          else if (t === "lease") {
            yield* sync.notifyAgentStatus(`a${id}`, "busy", { lease: "1 millis", endCommands: true })
            yield* Effect.repeat(nextTurn, { until: () => log.stats().leases === 0 })
          } else if (t === "zone" || t === "zoneEnd") {
            const agentId = n % 4 === 0 ? undefined : `a${n % 4}`
            yield* sync.publish(Zone, { zoneId: `z${id}`, agentId, n, isOver: t === "zoneEnd" })
          } else if (t === "zoneRemove") yield* sync.remove(Zone, `z${id}`)
          else if (t === "remove") yield* sync.notifyAgentRemove(`a${id}`, { commands: n % 2 === 0 })
          else yield* sync.broadcastUnknown({ eventType: "stratix:note", payload: { n, pad } })
          record()
        })

      for (const move of script) {
        switch (move.t) {
          case "burst":
            for (let i = 0; i < move.id; i++)
              yield* publish(i % 5 === 0 ? "note" : i % 2 === 0 ? "agent" : "command", i % 5)
            break
          case "join": {
            const query = filters[move.filter] ?? ""
            const joinedAt = published.length
            const client = yield* TestClients.connect({
              query,
              ...(move.form === "sync" && { protocols: ["stratix.sync.v1"] }),
              ...(move.form === "stream" && { stream: true })
            })
            actors.push({
              client,
              form: move.form,
              query,
              processed: [],
              filter: filterOf(move.filter),
              filtersBefore: [],
              joinedAt,
              isFrozen: false,
              wasFrozen: false,
              dropped: false,
              cameBack: false
            })
            break
          }
          case "freeze":
          case "thaw":
          case "drop": {
            const actor = actors[move.id % Math.max(1, actors.length)]
            if (actor === undefined) break
            if (move.t === "freeze") {
              actor.wasFrozen = true
              actor.isFrozen = true
              yield* actor.client.freeze
            } else if (move.t === "thaw") {
              actor.isFrozen = false
              yield* actor.client.thaw
            } else {
              actor.dropped = true
              yield* actor.client.drop
            }
            break
          }
          case "comeBack": {
            const actor = actors[move.id % Math.max(1, actors.length)]
            if (actor?.form === "stream" && !actor.dropped) {
              yield* comeBack(actor, move.processed, offsets, published.length)
            }
            break
          }
          case "subscribe": {
            const actor = actors[move.id % Math.max(1, actors.length)]
            // A plain client keeps what it knows under the filter before, and is told of nothing that leaves.
            if (actor?.form === "sync" && !actor.isFrozen && !actor.dropped) yield* changeFilter(actor, move.filter)
            break
          }
          case "flush":
            yield* broadcast.flush
            break
          case "settle":
            // Those who are frozen never catch up: law 6 wants the others not to notice, so only the flush is waited for.
            yield* broadcast.flush
            break
          default:
            yield* publish(move.t, move.id)
        }
      }

      for (const actor of actors) yield* actor.client.thaw
      yield* untilCount(actors.filter((actor) => !actor.dropped).length)
      yield* StatusSyncTest.settled
      // One more event for every filter, now that all are at the head: its arrival tells that all before it have arrived.
      for (const id of [0, 2]) for (const t of ["note", "agent", "command"] as const) yield* publish(t, id)
      for (const t of ["create", "zone"] as const) yield* publish(t, 1)
      yield* StatusSyncTest.settled

      const { entries: latest } = yield* log.latest()
      const place = new Map(published.map(({ requestId }, i) => [requestId, i]))
      for (const actor of actors) {
        if (actor.dropped) continue
        const wanted = published
          .map((one, i) => ({ ...one, i }))
          .filter(({ entry, i }) => i >= actor.joinedAt && EventLog.toldOf(entry, actor.filter) !== undefined)
        // A plain client knows only what happened since it came.
        const expected = latest
          .filter(
            (entry) => Filter.matches(actor.filter, entry) && (actor.form !== "plain" || entry.index > actor.joinedAt)
          )
          .map(({ json, key }) => [key ?? "", decodeRequestId(json).requestId])
        yield* arrived(actor, wanted.at(-1)?.requestId)
        const messages = yield* all(actor)
        const events = messages.filter((message) => place.has(message.requestId))
        const places = events.map((event) => place.get(event.requestId) ?? -1)

        // Law 3: the same keys, the same events.
        assert.deepStrictEqual([...stateOf(messages, actor.form !== "plain")].sort(), expected.sort())

        if (actor.form === "plain") {
          // Law 1.
          for (let i = 1; i < places.length; i++) assert.isAbove(places[i] ?? -1, places[i - 1] ?? -1)
          // Law 2: who was never slow got everything, once; who was, too, where history has it all.
          if (options.exact === "all" || (options.exact === "kept up" && !actor.wasFrozen))
            assert.deepStrictEqual(
              events.map((event) => event.requestId),
              wanted.map((one) => one.requestId)
            )
        } else checkSync(actor, messages, published, place)
      }

      // Law 5: nothing is kept for those who left.
      for (const actor of actors) yield* actor.client.drop
      yield* untilCount(0)
      const stats = broadcast.stats()
      assert.deepStrictEqual([stats.groups, stats.stalled], [0, 0])
    })

  /** Everything it has processed. */
  const all = (actor: Actor) => Effect.map(actor.client.received, (messages) => [...actor.processed, ...messages])

  /** A stream is cut after any of its messages, and comes back after the last event it has, as `EventSource` does by itself. */
  const comeBack = (actor: Actor, processed: number, offsets: ReadonlyMap<string, string>, now: number) =>
    Effect.gen(function* () {
      const received = yield* actor.client.received
      yield* actor.client.drop
      actor.processed = [...actor.processed, ...received.slice(0, processed % (received.length + 1))]
      // A snapshot takes the id back that was there before it.
      const snapshotAt = actor.processed.findLastIndex(
        ({ eventType, payload }) => eventType === SYNC && "mode" in payload && payload.mode === "snapshot"
      )
      const last = actor.processed.slice(snapshotAt + 1).findLast(({ requestId }) => offsets.has(requestId))
      const id = last === undefined ? undefined : offsets.get(last.requestId)
      actor.client = yield* TestClients.connect({
        query: actor.query,
        stream: true,
        ...(id !== undefined && { headers: { "last-event-id": id } })
      })
      // Without an event it begins anew, and is not told what it has missed.
      if (id === undefined) actor.joinedAt = now
      actor.isFrozen = false
      actor.cameBack = true
    })

  const subscriptions = (actor: Actor) =>
    Effect.map(actor.client.received, (messages) => messages.filter(({ eventType }) => eventType === SUBSCRIBED).length)

  /** Asks for other events, and waits until the gateway has answered. One that is too far behind to be answered is closed. */
  const changeFilter = (actor: Actor, index: number) =>
    Effect.gen(function* () {
      const before = yield* subscriptions(actor)
      actor.filtersBefore.push(actor.filter)
      actor.filter = filterOf(index)
      yield* actor.client.send({ type: "subscribe", ...Filter.toFields(actor.filter) })
      while ((yield* subscriptions(actor)) === before) {
        if (!(yield* actor.client.isOpen)) {
          actor.dropped = true
          return
        }
        yield* nextTurn
      }
    })

  /** Waits for the event; over memory it is there already. */
  const arrived = (actor: Actor, requestId: string | undefined) =>
    Effect.gen(function* () {
      for (;;) {
        const messages = yield* all(actor)
        if (requestId === undefined || messages.some((message) => message.requestId === requestId)) return
        yield* nextTurn
      }
    }).pipe(Effect.timeoutFail({ duration: "4 seconds", onTimeout: () => new Error("the last event never arrived") }))

  const checkSync = (
    actor: Actor,
    messages: ReadonlyArray<ServerMessage>,
    published: ReadonlyArray<Published>,
    place: ReadonlyMap<string, number>
  ) => {
    let promised = 0
    let live = false
    let before = -1
    let keylessGiven = 0
    let lost = 0
    for (const message of messages) {
      if (message.eventType === CONNECTED) {
        // Whatever was promised on the connection before.
        promised = 0
        live = false
      }
      if (message.eventType === SYNC && "mode" in message.payload) {
        assert.strictEqual(promised, 0, "a sync before the events of the last one")
        const { count, mode, more } = message.payload
        promised = typeof count === "number" ? count : 0
        lost += typeof message.payload.lost === "number" ? message.payload.lost : 0
        live = more !== true
        if (mode === "snapshot") before = -1
      } else if (place.has(message.requestId)) {
        const at = place.get(message.requestId) ?? -1
        // Law 1, from snapshot to snapshot.
        assert.isAbove(at, before)
        before = at
        if (promised > 0) promised--
        else assert.isTrue(live, "an event outside a catch-up before the client is live")
        const one = published[at]
        const admitted = [actor.filter, ...actor.filtersBefore]
        assert.isTrue(one !== undefined && admitted.some((filter) => EventLog.toldOf(one.entry, filter) !== undefined))
        if (one !== undefined && isKeyless(one.entry)) keylessGiven++
      }
    }
    assert.strictEqual(promised, 0)
    assert.isTrue(live)
    // What had no key was given or counted: nothing is skipped in silence.
    if (actor.filter === Filter.all && actor.filtersBefore.length === 0) {
      const keyless = published.slice(actor.joinedAt).filter((one) => isKeyless(one.entry)).length
      // One that was cut in a catch-up is told again of what was left out after the last event it had.
      if (actor.cameBack) assert.isAtLeast(keylessGiven + lost, keyless)
      else assert.strictEqual(keylessGiven + lost, keyless)
    }
  }

  describe(`laws over ${name}`, () => {
    it.effect.prop(
      "order, exactness, convergence, bounded memory, isolation",
      [fc.array(step, { maxLength: 80 })],
      ([script]) =>
        check(script).pipe(
          Effect.provide(
            layer({ stallTimeout: "1 hour", finishedCapacity: 1, filterRate: 0, ...options.settings }).pipe(
              Layer.provide(DeclaredEvents.layer([Zone]))
            )
          ),
          Effect.provide(Logger.remove(Logger.defaultLogger)),
          Effect.withClock(liveClock)
        ),
      { timeout: 240_000, fastCheck: { numRuns: Number(process.env["STRATIX_PROPERTY_RUNS"] ?? options.runs) } }
    )
  })
}

const liveClock = Effect.runSync(Effect.clock)
