/** The client against the real gateway, over real sockets that are cut at random points. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import WebSocket from "ws"
import { platform } from "../../src/stratix-client/Environment.js"
import {
  connect,
  type Filter,
  type StatusClient,
  type StatusClientError,
  type StatusClientOptions,
  type StatusState
} from "../../src/stratix-client/StatusClient.js"
import * as StatusStream from "../../src/stratix-client/StatusStream.js"
import * as Types from "../../src/stratix-core/event-types.js"
import * as StatusEvent from "../../src/stratix-core/StatusEvent.js"
import type { UnknownEventInput } from "../../src/stratix-gateway/api/websocket/StatusSync.js"
import { StatusSync } from "../../src/stratix-gateway/api/websocket/StatusSync.js"
import * as DeclaredEvents from "../../src/stratix-gateway/log/DeclaredEvents.js"
import * as EventLog from "../../src/stratix-gateway/log/EventLog.js"
import * as GatewayFilter from "../../src/stratix-gateway/log/Filter.js"
import { NodeServer } from "../../src/stratix-gateway/transport/NodeServer.js"
import * as StatusSyncTest from "../../src/stratix-testing/StatusSyncTest.js"
import { nextTurn } from "../support/waiting.js"

/** How many times connections are cut. */
const KILLS = Number(process.env["STRATIX_PROPERTY_RUNS"] ?? 500)

/** Clients whose connections are cut. */
const CLIENTS = 8

/** After so many cuts everybody is compared with the gateway. */
const CUTS_PER_CHECK = 50

/** Milliseconds for one cut on a slow machine that does a lot besides, many times over. */
const PATIENCE = 500

/** Pauses are real, so they are made short. */
const hasty: StatusClientOptions = {
  WebSocket,
  environment: { setTimer: (task, millis) => platform.setTimer(task, millis / 1000) }
}

const gateway = (options: Parameters<typeof StatusSyncTest.layerWs>[0] = {}) =>
  StatusSyncTest.layerWs(options).pipe(
    Layer.provide(DeclaredEvents.layer([Zone])),
    Layer.provideMerge(Logger.minimumLogLevel(LogLevel.None))
  )

const url = Effect.map(NodeServer, (server) => {
  const address = server.address()
  return `ws://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}/`
})

const open = (options: StatusClientOptions = {}) =>
  Effect.flatMap(url, (address) =>
    Effect.acquireRelease(
      Effect.sync(() => connect(address, { ...hasty, ...options })),
      (client) => Effect.sync(client.close)
    )
  )

/** Waits until the client is as it is said. */
const untilFreshness = (client: StatusClient, tag: StatusClient["freshness"]["_tag"]) =>
  Effect.async<void>((resume) => {
    if (client.freshness._tag === tag) return resume(Effect.void)
    const stop = client.onFreshness(({ _tag }) => {
      if (_tag !== tag) return
      stop()
      resume(Effect.void)
    })
    return Effect.sync(stop)
  })

/** Waits until something of the client is so: its state or its freshness. */
const untilState = (client: StatusClient, isSo: () => boolean) =>
  Effect.async<void>((resume) => {
    const look = () => {
      if (!isSo()) return
      for (const unsubscribe of stop) unsubscribe()
      resume(Effect.void)
    }
    const stop = [client.onState(look), client.onFreshness(look)]
    look()
    return Effect.sync(() => {
      for (const unsubscribe of stop) unsubscribe()
    })
  })

/** What is shown, to the letter. */
const shown = ({ agentInfos, agents, commands, of }: StatusState): Array<string> =>
  [...agents.values(), ...commands.values(), ...agentInfos.values(), ...of(Zone).values()]
    .map((event) => JSON.stringify(event))
    .sort()

const endOf = ({ state }: StatusClient): unknown => state.commands.get("end")?.payload.result

const Zone = StatusEvent.define("stratix:zone_update", {
  schema: Schema.Struct({ zoneId: Schema.String, agentId: Schema.String }),
  key: ({ zoneId }) => zoneId
})

/** Enough keys that what a client misses is not soon told anew. */
const KEYS = 100

const randomEvent = Effect.gen(function* () {
  const number = yield* Random.nextIntBetween(0, KEYS)
  const kind = yield* Random.nextIntBetween(0, 14)
  const agentId = `a${number}`
  const event: UnknownEventInput =
    kind < 4
      ? { eventType: Types.AGENT_STATUS_UPDATE, payload: { agentId, status: kind % 2 ? "busy" : "online" } }
      : kind < 8
        ? command(`c${number}`, `a${number % 3}`, kind % 2 ? "running" : "success")
        : kind < 9
          ? { eventType: Types.AGENT_CREATE, payload: { agentId, name: `n${yield* Random.nextInt}`, type: "coder" } }
          : kind < 10
            ? { eventType: "stratix:note", payload: { number } }
            : kind < 13
              ? { eventType: Zone.eventType, payload: { zoneId: `z${number}`, agentId: `a${kind % 3}` } }
              : { eventType: Types.KEY_REMOVE, payload: { eventType: Zone.eventType, key: `z${number}` } }
  return event
})

const command = (
  commandId: string,
  agentId: string,
  commandStatus: string,
  result: unknown = null
): UnknownEventInput => ({
  eventType: Types.COMMAND_STATUS_UPDATE,
  payload: { commandId, agentId, commandStatus, result }
})

/** All of them let the command `end` of the agent `end` through. */
const filters: ReadonlyArray<Filter> = [
  {},
  { agents: ["a0", "a1", "end"] },
  { events: ["command_status_update", "stratix:note"] },
  { commands: ["c1", "c2", "c3", "end"] }
]

/** A WebSocket whose connection is cut after some frames, without a close frame and with whatever is on its way. */
const cuttable = (framesToLive: () => number, mayCut: () => boolean, onCut: () => void) =>
  class extends WebSocket {
    constructor(address: string | URL, protocols?: string | Array<string>) {
      super(address, protocols)
      let left = framesToLive()
      this.on("message", () => {
        if (--left > 0 || !mayCut()) return
        onCut()
        // Frames that came in the same packet would still be handed over.
        this.removeAllListeners("message")
        this.terminate()
      })
    }
  }

const story = Effect.gen(function* () {
  const { broadcastUnknown, broadcastAllUnknown } = yield* StatusSync
  const { latest } = yield* EventLog.EventLog
  const random = yield* Effect.random
  const errors: Array<StatusClientError> = []
  const modes = { snapshot: 0, resume: 0, conflated: 0 }
  let cuts = 0
  let cutsAllowed = 0
  const Cut = cuttable(
    // From the welcome alone to some snapshots.
    () => Effect.runSync(random.nextIntBetween(1, 2 ** Effect.runSync(random.nextIntBetween(1, 8)))),
    () => cuts < cutsAllowed,
    () => cuts++
  )
  const onError = (error: StatusClientError) => errors.push(error)
  const staying = yield* open({ onError })
  const dropping = yield* Effect.replicateEffect(open({ WebSocket: Cut, onError }), CLIENTS)
  for (const client of dropping) client.on(Types.SYNC, ({ mode }) => modes[mode]++)
  const all = [staying, ...dropping]

  let filter: Filter = {}
  while (cuts < KILLS) {
    // Mostly the filter stays: its change brings a snapshot, which would hide what was missed.
    const changeAt = (yield* Random.nextIntBetween(0, 3)) === 0 ? yield* Random.nextIntBetween(0, 8) : -1
    cutsAllowed = Math.min(KILLS, cuts + CUTS_PER_CHECK)
    for (let round = 0; cuts < cutsAllowed || round <= changeAt; round++) {
      const size = yield* Random.nextIntBetween(1, 24)
      yield* broadcastAllUnknown(yield* Effect.replicateEffect(randomEvent, size))
      if (round === changeAt) {
        filter = filters[yield* Random.nextIntBetween(0, filters.length)] ?? {}
        for (const client of all) client.subscribe(filter)
      }
      // Sometimes it is waited for one, so that it resumes within the history; sometimes they fall behind it.
      const awaited = all[yield* Random.nextIntBetween(0, 2 * CLIENTS)]
      yield* awaited === undefined ? nextTurn : untilFreshness(awaited, "live")
    }
    const check = cuts
    yield* broadcastUnknown(command("end", "end", "running", check))
    for (const client of all)
      yield* untilState(client, () => endOf(client) === check && client.freshness._tag === "live")
    const truth = yield* latest(GatewayFilter.fromFields(filter))
    const expected = truth.entries.map(EventLog.withOffset).sort()
    for (const client of all) assert.deepStrictEqual(shown(client.state), expected)
  }
  assert.deepStrictEqual(errors, [])
  // It has teeth only if it went through every way of coming back.
  for (const [mode, times] of Object.entries(modes)) assert.isAbove(times, KILLS / 100, mode)
})

describe("against a real gateway", () => {
  it.scopedLive(
    `resume equals stay, over ${KILLS} cuts of ${CLIENTS} clients`,
    () => Effect.provide(story, gateway({ historyCapacity: 48 })),
    10_000 + KILLS * PATIENCE
  )

  it.scopedLive("a client that stays sees every event once, in order", () =>
    Effect.gen(function* () {
      const { broadcastAllUnknown } = yield* StatusSync
      const client = yield* open()
      yield* untilFreshness(client, "live")
      const events = client.events(5000)
      const offsets: Array<string> = []
      for (let round = 0; round < 40; round++) {
        offsets.push(...(yield* broadcastAllUnknown(yield* Effect.replicateEffect(randomEvent, 25))))
        yield* nextTurn
      }
      const seen: Array<string | undefined> = []
      while (seen.length < offsets.length) seen.push((yield* Effect.promise(() => events.next())).value?.offset)
      assert.deepStrictEqual(seen, offsets)
    }).pipe(Effect.provide(gateway()))
  )

  it.scopedLive("a gateway that restarts: says so, comes back live, and what is gone is gone", () =>
    Effect.gen(function* () {
      const first = yield* Scope.make()
      const before = yield* Layer.buildWithScope(gateway({ drainTimeout: "1 seconds" }), first)
      const address = yield* Effect.provide(url, before)
      yield* Effect.provide(
        Effect.flatMap(StatusSync, ({ notifyAgentStatus }) => notifyAgentStatus("gone", "busy")),
        before
      )
      const client = yield* Effect.provide(open(), before)
      yield* untilFreshness(client, "live")
      assert.isTrue(client.state.agents.has("gone"))
      let retryAfter = 0
      client.on(Types.CLOSING, ({ retryAfterMs }) => {
        retryAfter = retryAfterMs
      })
      yield* Scope.close(first, Exit.void)
      yield* untilFreshness(client, "reconnecting")
      assert.isAbove(retryAfter, 0)
      assert.isTrue(client.state.agents.has("gone"))
      yield* Layer.build(gateway({ port: Number(new URL(address).port) }))
      yield* untilFreshness(client, "restarted")
      assert.isFalse(client.state.agents.has("gone"))
    })
  )

  it.scopedLive("plain mode: live at once, with the state of a snapshot", () =>
    Effect.gen(function* () {
      const { notifyAgentStatus } = yield* StatusSync
      yield* notifyAgentStatus("a1", "busy")
      const client = yield* open({ mode: "plain" })
      const seen = yield* Effect.async<string>((resume) => {
        client.onState(() => {
          const event = client.state.agents.get("a1")
          if (event !== undefined) resume(Effect.succeed(`${event.payload.status} ${event.offset}`))
        })
      })
      assert.strictEqual(seen, "busy undefined")
      assert.strictEqual(client.freshness._tag, "live")
    }).pipe(Effect.provide(gateway()))
  )

  it.scopedLive("a probe is answered", () =>
    Effect.gen(function* () {
      let wake = () => {}
      const onWake = (woken: () => void) => {
        wake = woken
        return () => undefined
      }
      const client = yield* open({ environment: { onWake } })
      const answered = yield* Deferred.make<void>()
      client.on(Types.HEARTBEAT, () => Deferred.unsafeDone(answered, Exit.void))
      yield* untilFreshness(client, "live")
      wake()
      yield* Deferred.await(answered)
    }).pipe(Effect.provide(gateway()))
  )

  it.scopedLive("a filter that the gateway finds too large is refused, and the one before stays", () =>
    Effect.gen(function* () {
      const { notifyAgentStatus } = yield* StatusSync
      const errors: Array<string> = []
      const client = yield* open({ onError: ({ message }) => errors.push(message) })
      yield* untilFreshness(client, "live")
      client.subscribe({ agents: ["a1", "a2", "a3"] })
      assert.strictEqual(client.freshness._tag, "catching-up")
      yield* untilFreshness(client, "live")
      assert.strictEqual(errors.length, 1)
      const events = client.events()
      yield* notifyAgentStatus("a9", "busy")
      yield* Effect.promise(() => events.next())
      assert.isTrue(client.state.agents.has("a9"))
    }).pipe(Effect.provide(gateway({ maxFilterValues: 2 })))
  )

  it.scopedLive("the Effect client follows it too", () =>
    Effect.gen(function* () {
      const { notifyAgentStatus } = yield* StatusSync
      yield* notifyAgentStatus("a1", "busy")
      const { freshness, state } = yield* StatusStream.make({ url: yield* url, WebSocket })
      yield* freshness.changes.pipe(
        Stream.filter(({ _tag }) => _tag === "live"),
        Stream.runHead
      )
      assert.strictEqual((yield* state.get).agents.get("a1")?.payload.status, "busy")
    }).pipe(Effect.provide(gateway()))
  )
})
