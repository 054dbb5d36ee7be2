/** Laws 1, 3 and 4 of DESIGN.md, for the client: whatever happens to its connections, it ends up where one that never dropped is. */
import * as fc from "fast-check"
import { expect, it } from "vitest"
import type { Filter, StatusEvent, StatusState, Transport } from "../../src/stratix-client/StatusClient.js"
import * as Types from "../../src/stratix-core/event-types.js"
import { type ModelConnection, type ModelEvent, ModelGateway } from "./support/ModelGateway.js"
import { type Observed, settled, World } from "./support/World.js"

const RUNS = Number(process.env["STRATIX_PROPERTY_RUNS"] ?? 1000)

/** Milliseconds for one history on a slow machine, many times over. */
const PATIENCE = 50

const agentId = fc.constantFrom("a0", "a1", "a,2")

/** A declared type. Its keys are scoped by it: one is called as an agent is. */
const ZONE = "stratix:zone_update"
const zoneId = fc.constantFrom("z0", "z1", "a0")
const event: fc.Arbitrary<ModelEvent> = fc.oneof(
  fc.record({ agentId, status: fc.constantFrom("online", "busy") }).map((payload) => ({
    eventType: Types.AGENT_STATUS_UPDATE,
    payload
  })),
  fc
    .record({ number: fc.nat(3), agentId, commandStatus: fc.constantFrom("pending", "running", "success") })
    .map(({ agentId, commandStatus, number }) => ({
      eventType: Types.COMMAND_STATUS_UPDATE,
      payload: { commandId: `c${number}`, agentId, commandStatus }
    })),
  agentId.map((agentId) => ({ eventType: Types.AGENT_REMOVE, payload: { agentId } })),
  fc.record({ agentId, name: fc.constantFrom("Ada", "Bob") }).map(({ agentId, name }) => ({
    eventType: Types.AGENT_CREATE,
    payload: { agentId, name, type: "coder" }
  })),
  fc
    .record({ zoneId, agentId: fc.option(agentId, { nil: undefined }), load: fc.nat(9), over: fc.boolean() })
    .map(({ agentId, ...zone }) => ({
      eventType: ZONE,
      payload: { ...zone, ...(agentId !== undefined && { agentId }) },
      own: zone.zoneId
    })),
  zoneId.map((key) => ({ eventType: Types.KEY_REMOVE, payload: { eventType: ZONE, key } })),
  fc.constant({ eventType: "stratix:note", payload: { text: "hello" } })
)

const filters: ReadonlyArray<Filter> = [
  {},
  { agents: ["a0"] },
  { agents: ["a1", "a,2"] },
  { commands: ["c1", "c2"] },
  { events: [Types.AGENT_STATUS_UPDATE] },
  { events: [ZONE], agents: ["a0"] },
  { events: [] }
]

type Step =
  | { readonly _tag: "publish"; readonly events: ReadonlyArray<ModelEvent> }
  | { readonly _tag: "deliver" | "serve" | "catchUp"; readonly count: number }
  | { readonly _tag: "kill" | "restart" | "prune" | "forget" }
  | { readonly _tag: "subscribe"; readonly filter: number }

const count = fc.integer({ min: 1, max: 6 })
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.array(event, { minLength: 1, maxLength: 8 }).map((events) => ({ _tag: "publish" as const, events }))
  },
  { weight: 8, arbitrary: count.map((count) => ({ _tag: "deliver" as const, count })) },
  { weight: 4, arbitrary: count.map((count) => ({ _tag: "catchUp" as const, count })) },
  { weight: 2, arbitrary: count.map((count) => ({ _tag: "serve" as const, count })) },
  { weight: 4, arbitrary: fc.constant({ _tag: "kill" as const }) },
  { weight: 1, arbitrary: fc.constant({ _tag: "prune" as const }) },
  { weight: 1, arbitrary: fc.constant({ _tag: "forget" as const }) },
  { weight: 1, arbitrary: fc.constant({ _tag: "restart" as const }) },
  { weight: 2, arbitrary: fc.nat(filters.length - 1).map((filter) => ({ _tag: "subscribe" as const, filter })) }
)

/** A client with its connection to the gateway. */
class Screen {
  readonly world = new World()
  readonly observed: Observed
  /** Offsets of the events since the last snapshot or change of filter began. */
  private places: Array<number> = []

  constructor(
    private readonly gateway: ModelGateway,
    readonly transport: Transport
  ) {
    this.world.onSocket = (socket) => {
      // It answers when everything about the socket is in place.
      this.pendingAccept = () => gateway.accept(socket)
    }
    this.observed = this.world.connect({ transport })
    this.observed.client.on(Types.SYNC, ({ mode }) => {
      if (mode === "snapshot") this.places = []
    })
    this.observed.client.onEvent((event) => this.see(event))
  }

  private pendingAccept: (() => ModelConnection) | undefined
  private accepted: ModelConnection | undefined

  /** The connection; comes back if there is none. */
  get connection(): ModelConnection {
    if (this.accepted !== undefined && this.gateway.connections.has(this.accepted)) return this.accepted
    while (this.pendingAccept === undefined) this.world.advance(1000)
    this.accepted = this.pendingAccept()
    this.pendingAccept = undefined
    return this.accepted
  }

  kill(): void {
    this.gateway.end(this.connection, 1006)
  }

  /** What is on its way into the page arrives: a stream is read in turns. */
  async arrive(): Promise<void> {
    if (this.transport === "event-stream") await settled()
  }

  /** Until nothing is left to do. */
  async settle(): Promise<void> {
    const { connection } = this
    while (connection.up.length > 0 || connection.down.length > 0 || !connection.live) {
      for (const message of connection.up.splice(0)) message()
      this.gateway.step(connection)
      connection.deliver(Number.POSITIVE_INFINITY)
    }
    await this.arrive()
  }

  get isSettled(): boolean {
    const { connection } = this
    return connection.live && connection.up.length === 0 && connection.down.length === 0
  }

  private see({ offset = "" }: StatusEvent): void {
    const place = Number(offset.split("-")[1])
    // Law 1: offsets strictly increase.
    expect(place).toBeGreaterThan(this.places.at(-1) ?? 0)
    this.places.push(place)
  }
}

const flat = ({ agentInfos, agents, commands, of }: StatusState): Map<string, unknown> =>
  new Map(
    [
      ...[...agents].map(([id, event]) => [`agent:${id}`, event] as const),
      ...[...commands].map(([id, event]) => [`command:${id}`, event] as const),
      ...[...agentInfos].map(([id, event]) => [`agent-info:${id}`, event] as const),
      ...[...of({ eventType: ZONE })].map(([id, event]) => [`${ZONE}/${id}`, event] as const)
    ].map(([key, { offset, payload }]) => [key, { offset, payload }])
  )

/** What is shown is the gateway's state: the same keys, the same events. */
const checkTruth = (gateway: ModelGateway, filter: Filter, state: StatusState) => {
  const truth = gateway
    .latest(filter)
    .map(({ key = "", payload, seq }) => [key, { offset: gateway.offset(seq), payload }] as const)
  expect(flat(state)).toEqual(new Map(truth))
}

const runOver =
  (transport: Transport) => async (steps: ReadonlyArray<Step>, limits: readonly [number, number, number]) => {
    const gateway = new ModelGateway(...limits)
    const dropping = new Screen(gateway, transport)
    const staying = new Screen(gateway, transport)
    await staying.settle()
    let filter: Filter = {}
    for (const step of steps) {
      await dropping.arrive()
      const { connection } = dropping
      switch (step._tag) {
        case "publish":
          for (const event of step.events) gateway.publish(event)
          break
        case "deliver":
          connection.deliver(step.count)
          break
        case "catchUp":
          for (let index = 0; index < step.count; index++) gateway.step(connection)
          break
        case "serve":
          for (const message of connection.up.splice(0, step.count)) message()
          break
        case "kill":
          dropping.kill()
          break
        case "prune":
          gateway.prune()
          break
        case "forget":
          gateway.forget()
          break
        case "restart":
          gateway.restart()
          break
        case "subscribe":
          filter = filters[step.filter] ?? {}
          for (const { observed } of [dropping, staying]) observed.client.subscribe(filter)
          break
      }
      await staying.settle()
      await dropping.arrive()
      // "live" is a promise: with nothing on its way, what is shown is the truth; and it is not live while it cannot know.
      if (dropping.isSettled) expect(dropping.observed.tag).toBe("live")
      if (dropping.isSettled) checkTruth(gateway, filter, dropping.observed.client.state)
    }
    await dropping.settle()
    for (const { observed } of [dropping, staying]) {
      expect(observed.tag).toBe("live")
      expect(observed.errors).toEqual([])
      checkTruth(gateway, filter, observed.client.state)
    }
  }

for (const transport of ["websocket", "event-stream"] as const) {
  // Turns cost more than calls.
  const runs = transport === "websocket" ? RUNS : Math.ceil(RUNS / 5)
  it(
    `resume equals stay, over ${runs} random histories, by ${transport}`,
    async () => {
      const limits = fc.tuple(
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 12 })
      )
      await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 40, size: "max" }), limits, runOver(transport)), {
        numRuns: runs,
        interruptAfterTimeLimit: Number.POSITIVE_INFINITY
      })
    },
    10_000 + RUNS * PATIENCE
  )
}
