import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Random } from "effect"
import WebSocket from "ws"
import { connect, type Filter, type StatusClient, type StatusState } from "../../../src/stratix-client/StatusClient.js"
import * as Types from "../../../src/stratix-core/event-types.js"
import { eventually } from "../support/redisLogs.js"
import * as Workers from "./gateway.js"

/** What is published, and when whose connection is cut, is drawn from this; what meets what is up to the machine. */
const SEED = Number(process.env["STRATIX_SEED"] ?? 1)

const WORKERS = 4

/** Workers that are killed -9, each in the middle of what is published, before everything is compared. */
const KILLS = 3

const PUBLISHERS = 3

/** Publications of each publisher between two kills. */
const ROUNDS = 8

/** The lease of a publisher that does not renew it, in milliseconds: shorter than the time between two comparisons. */
const LEASE = 300

/** All but the last let the command `end` of the agent `end` through. */
const filters: ReadonlyArray<Filter> = [
  {},
  { agents: ["a0", "a1", "end"] },
  { events: [Types.COMMAND_STATUS_UPDATE, "stratix:note"] },
  { commands: ["c1", "c2", "c3", "end"] }
]

interface Published {
  readonly eventType: string
  readonly payload: Record<string, unknown>
  readonly requestId: string
  readonly offset: string
}

const randomEvent = (requestId: string) =>
  Effect.gen(function* () {
    const kind = yield* Random.nextIntBetween(0, 14)
    const [agentId, commandId] = [`a${yield* Random.nextIntBetween(0, 4)}`, `c${yield* Random.nextIntBetween(0, 6)}`]
    const command = (commandStatus: string) => ({
      eventType: Types.COMMAND_STATUS_UPDATE,
      payload: { commandId, agentId, commandStatus }
    })
    const of = (eventType: string, payload: object) => ({ eventType, payload })
    const event =
      kind < 4
        ? of(Types.AGENT_STATUS_UPDATE, { agentId, status: kind % 2 === 0 ? "busy" : "online" })
        : kind < 7
          ? command("running")
          : kind < 8
            ? command("success")
            : kind < 9
              ? of(Types.AGENT_CREATE, { agentId, name: requestId, type: "coder" })
              : kind < 10
                ? of(Types.AGENT_REMOVE, { agentId })
                : kind < 11
                  ? of(Types.COMMAND_REMOVE, { commandId, agentId })
                  : kind < 12
                    ? { ...of(Types.AGENT_STATUS_UPDATE, { agentId: "leased", status: "busy" }), leaseMs: LEASE }
                    : of("stratix:note", { text: requestId })
    return { ...event, requestId }
  })

/** A client, and everything that it was told. */
class Watcher {
  readonly offsets: Array<string> = []
  readonly modes: Array<string> = []
  readonly client: StatusClient
  private socket: WebSocket | undefined
  filter: Filter
  hasChanged = false

  constructor(port: number, filter: Filter, transport: "websocket" | "event-stream") {
    const watcher = this
    this.filter = filter
    this.client = connect(`ws://127.0.0.1:${port}/`, {
      filter,
      transport,
      WebSocket: class extends WebSocket {
        constructor(address: string | URL, protocols?: string | Array<string>) {
          super(address, protocols)
          watcher.socket = this
        }
      },
      backoffBaseMs: 50,
      backoffCapMs: 200,
      // One that was on its way to a worker when it was killed may never be answered.
      connectTimeoutMs: 5000,
      onError: () => undefined
    })
    this.client.onEvent(({ offset }) => this.offsets.push(offset ?? ""))
    this.client.on(Types.SYNC, ({ mode }) => this.modes.push(mode))
  }

  cut(): void {
    this.socket?.terminate()
  }

  freeze(): void {
    this.socket?.pause()
  }

  thaw(): void {
    this.socket?.resume()
  }

  subscribe(filter: Filter): void {
    this.filter = filter
    this.hasChanged = true
    this.client.subscribe(filter)
  }
}

/** More than there is: the whole history. */
const ALL = "limit=1000"

/** What is shown, to the letter. */
const shown = ({ agentInfos, agents, commands }: StatusState): ReadonlyArray<string> =>
  [...agents.values(), ...commands.values(), ...agentInfos.values()].map((event) => JSON.stringify(event)).sort()

/** The fields of a query; commas between values are not encoded. */
const queryOf = (filter: Filter): ReadonlyArray<string> =>
  Object.entries(filter).map(([name, values]) => `${name}=${values.map(encodeURIComponent).join()}`)

const read = (port: number, path: string, ...query: ReadonlyArray<string>) =>
  Effect.tryPromise(async (): Promise<ReadonlyArray<Published>> => {
    // A connection of its own: any of the workers answers.
    const answer = await fetch(`http://127.0.0.1:${port}/api/stratix/${path}?${query.join("&")}`, {
      headers: { connection: "close" }
    })
    const { events } = await answer.json()
    return events
  }).pipe(Effect.eventually)

const laws = (options: { readonly history: number }) =>
  Effect.gen(function* () {
    const { port, program } = yield* Workers.start({
      STRATIX_WORKERS: String(WORKERS),
      STRATIX_HISTORY_CAPACITY: String(options.history),
      STRATIX_FINISHED_CAPACITY: "1"
    })
    const watchers = yield* Effect.acquireRelease(
      Effect.sync(() => [
        ...filters.map((filter) => new Watcher(port, filter, "websocket")),
        ...filters.map((filter) => new Watcher(port, filter, "websocket")),
        ...filters.map((filter) => new Watcher(port, filter, "event-stream"))
      ]),
      (all) =>
        Effect.sync(() => {
          for (const { client } of all) client.close()
        })
    )
    yield* eventually(
      Effect.sync(() => watchers.filter(({ client }) => client.freshness._tag !== "live").length),
      (count) => count === 0
    )
    const oneOf = <A>(all: ReadonlyArray<A>) => Effect.map(Random.nextIntBetween(0, all.length), (at) => all[at])
    const acknowledged: Array<string> = []
    const publisher = (name: string) =>
      Effect.gen(function* () {
        for (let round = 0; round < ROUNDS; round++) {
          const size = yield* Random.nextIntBetween(1, 6)
          const key = `${name}-${round}`
          const events = yield* Effect.forEach(Array(size).keys(), (i) => randomEvent(`${key}-${i}`))
          yield* Workers.publish(port, key, ...events)
          acknowledged.push(...events.map(({ requestId }) => requestId))
        }
      })

    for (let kill = 1; kill <= KILLS; kill++) {
      const frozen = yield* oneOf(watchers)
      frozen?.freeze()
      const publishing = yield* Effect.fork(
        Effect.forEach(Array(PUBLISHERS).keys(), (of) => publisher(`${kill}-${of}`), { concurrency: "unbounded" })
      )
      const enough = acknowledged.length + (yield* Random.nextIntBetween(5, 30))
      yield* eventually(
        Effect.sync(() => acknowledged.length),
        (count) => count >= enough
      ).pipe(Effect.raceFirst(Fiber.join(publishing)))
      const dies = yield* oneOf(Workers.workersOf(program))
      if (dies !== undefined) process.kill(dies, "SIGKILL")
      for (const watcher of watchers) if (yield* Random.nextBoolean) watcher.cut()
      const changes = yield* oneOf(watchers.slice(0, filters.length))
      changes?.subscribe((yield* oneOf(filters)) ?? {})
      yield* Fiber.join(publishing)
      frozen?.thaw()
      yield* Effect.promise(() => program.prints(new RegExp(`worker ${WORKERS + kill} is ready`)))

      // Law 10: its publisher does not renew the lease.
      yield* eventually(read(port, "state", "agents=leased"), (events) =>
        events.every(({ payload }) => payload["status"] === "offline")
      )
      const requestId = `end-${kill}`
      yield* Workers.publish(port, requestId, {
        eventType: Types.COMMAND_STATUS_UPDATE,
        payload: { commandId: "end", agentId: "end", commandStatus: "running", result: kill },
        requestId
      })
      acknowledged.push(requestId)
      yield* eventually(
        Effect.sync(() =>
          watchers.filter(
            ({ client: { freshness, state } }) =>
              freshness._tag !== "live" || state.commands.get("end")?.payload.result !== kill
          )
        ),
        (late) => late.length === 0
      )
      // Law 3, at any of the workers.
      for (const { client, filter } of watchers) {
        const state = yield* read(port, "state", ...queryOf(filter))
        assert.deepStrictEqual(shown(client.state), state.map((event) => JSON.stringify(event)).sort())
      }
    }

    // Nothing that was acknowledged is lost, or there twice.
    const happened = yield* read(port, "history", ALL)
    if (options.history < acknowledged.length) return watchers
    const own = happened.filter(({ requestId }) => !acknowledged.includes(requestId))
    assert.isTrue(own.every(({ payload }) => payload["reason"] === "lease expired" || !("status" in payload)))
    assert.sameMembers(
      happened.map(({ requestId }) => requestId).filter((id) => acknowledged.includes(id)),
      acknowledged
    )
    for (const { filter, hasChanged, modes, offsets } of watchers) {
      if (hasChanged) continue
      // Laws 1, 2 and 4.
      const told = yield* read(port, "history", ALL, ...queryOf(filter))
      assert.deepStrictEqual(
        offsets,
        told.map(({ offset }) => offset)
      )
      assert.deepStrictEqual(modes.slice(1), modes.slice(1).fill("resume"))
    }
    return watchers
  }).pipe(Effect.withRandom(Random.make(SEED)))

describe("the laws over four workers, of which one is killed -9 now and then", () => {
  it.scopedLive(
    "order, exactness, convergence, resume equals stay, and no ghosts",
    () =>
      Effect.gen(function* () {
        const watchers = yield* laws({ history: 8192 })
        assert.isAbove(watchers.flatMap(({ modes }) => modes).length, watchers.length)
      }),
    Workers.PATIENCE
  )

  it.scopedLive(
    "convergence where the history is shorter than what is missed",
    () =>
      Effect.gen(function* () {
        const watchers = yield* laws({ history: 8 })
        // It has teeth only if a client fell behind the history.
        assert.include(
          watchers.flatMap(({ modes }) => modes.slice(1)),
          "conflated"
        )
      }),
    Workers.PATIENCE
  )
})
