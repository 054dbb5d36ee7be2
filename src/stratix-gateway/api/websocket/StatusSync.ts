/**
 * The public face: publish what agents and commands are doing, and every dashboard shows it.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as Tracer from "effect/Tracer"
import type { AnyStatusEvent, StatusEvent } from "../../../stratix-core/StatusEvent.js"
import {
  AGENT_CREATE,
  AGENT_REMOVE,
  AGENT_STATUS_UPDATE,
  type AgentStatus,
  COMMAND_REMOVE,
  COMMAND_STATUS_UPDATE,
  type CommandStatus,
  KEY_REMOVE,
  type Offset
} from "../../../stratix-core/stratix-protocol.js"
import * as StatusSyncConfig from "../../config/StatusSyncConfig.js"
import * as Broadcast from "../../fanout/Broadcast.js"
import * as DeclaredEvents from "../../log/DeclaredEvents.js"
import { decodeRequestId, encode } from "../../log/EventEncoder.js"
import type { EventInput, Extra, StampInput, UnknownEventInput } from "../../log/EventInput.js"
import * as EventLog from "../../log/EventLog.js"
import * as Filter from "../../log/Filter.js"
import * as Idempotency from "../../log/Idempotency.js"
import { PublishError, refusal } from "../../log/PublishError.js"
import * as Stamps from "../../log/Stamps.js"
import * as Tenant from "../../log/Tenant.js"
import * as EventLoop from "../../runtime/EventLoop.js"
import * as Tracing from "../../telemetry/Tracing.js"
import * as Connections from "./Connections.js"
import * as ScopedAgent from "./ScopedAgent.js"
import type { SubscribedEvent } from "./Subscription.js"
import * as Subscription from "./Subscription.js"

export type { EventInput, Extra, StampInput, UnknownEventInput } from "../../log/EventInput.js"
export { withIdempotencyKey } from "../../log/Idempotency.js"
export { PublishError } from "../../log/PublishError.js"
export { withRequestId } from "../../log/Stamps.js"
export type { AgentStatusOptions, ScopedAgent, ScopedAgentOptions } from "./ScopedAgent.js"
export type { SubscribedEvent } from "./Subscription.js"

/**
 * Publishes events. No publishing effect waits for a client or fails because of one; each succeeds with the event's offset
 * once it has its place in the log, and fails with a `PublishError` that names the field if the event cannot be sent.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** Publishes one event of a type that the protocol names. `timestamp` and `requestId` are filled in where absent. */
  readonly broadcast: (event: EventInput) => Effect.Effect<Offset, PublishError>
  /** Publishes events next to each other in the log, all or none; a field of the second one is named `1.payload.status`. */
  readonly broadcastAll: (events: ReadonlyArray<EventInput>) => Effect.Effect<ReadonlyArray<Offset>, PublishError>
  /** Publishes one event of any type, checked as it comes: one from elsewhere, or of a type that is not declared. */
  readonly broadcastUnknown: (event: UnknownEventInput) => Effect.Effect<Offset, PublishError>
  /** `broadcastAll` of events of any type. */
  readonly broadcastAllUnknown: (
    events: ReadonlyArray<UnknownEventInput>
  ) => Effect.Effect<ReadonlyArray<Offset>, PublishError>
  /** Publishes one event of a type of your own, which the layers of the gateway were told of. */
  readonly publish: <T extends string, A, I extends object>(
    event: StatusEvent<T, A, I>,
    payload: A,
    options?: StampInput
  ) => Effect.Effect<Offset, PublishError>
  /** Ends a key of an event type of your own: it leaves every state and every screen. Succeeds for a key that is not there. */
  readonly remove: (event: AnyStatusEvent, key: string) => Effect.Effect<Offset, PublishError>
  /** With a `lease`, the agent is `offline` after that time unless the status is renewed or another is published. */
  readonly notifyAgentStatus: (
    agentId: string,
    status: AgentStatus,
    options?: ScopedAgent.AgentStatusOptions
  ) => Effect.Effect<Offset, PublishError>
  /** Renews the lease of an agent, without an event. `false`: it has none, because it expired, or the last status came without one. */
  readonly renewLease: (agentId: string) => Effect.Effect<boolean, PublishError>
  /** An agent that is online while its scope lives, and offline on release. It renews its own lease. */
  readonly agent: (
    agentId: string,
    options?: ScopedAgent.ScopedAgentOptions
  ) => Effect.Effect<ScopedAgent.ScopedAgent, PublishError, Scope.Scope>
  /** `progress` is in percent, `result` any JSON, `extra` fields of your own. What is `undefined` is absent on the wire. */
  readonly notifyCommandStatus: (
    commandId: string,
    agentId: string,
    status: CommandStatus,
    progress?: number | undefined,
    result?: unknown,
    error?: string | undefined,
    extra?: Extra | undefined
  ) => Effect.Effect<Offset, PublishError>
  readonly notifyAgentCreate: (
    agentId: string,
    name: string,
    type: string,
    extra?: Extra | undefined
  ) => Effect.Effect<Offset, PublishError>
  /** Ends an agent: it leaves every state and every screen. With `commands` its commands do so just before, in the same step. Succeeds for an
   * agent that is not there. */
  readonly notifyAgentRemove: (
    agentId: string,
    options?: { readonly commands?: boolean | undefined }
  ) => Effect.Effect<Offset, PublishError>
  /** Every event that is published once this effect has returned, in order, until the scope closes, whether or not the stream is being read. A
   * subscriber more than a history behind loses the oldest events, and is told by the `lost` of the next one how many. One stream is one reader. */
  readonly subscribe: Effect.Effect<Stream.Stream<SubscribedEvent>, never, Scope.Scope>
  /** `subscribe` as a bare stream: it begins with its first pull, and what is published before that is not in it. */
  readonly events: Stream.Stream<SubscribedEvent>
  /** How many clients are connected, of those that see this tenant: to the whole gateway, where it has workers. One that hangs is left out after 2 s. */
  readonly clientCount: Effect.Effect<number>
  /**
   * The same service for the events of another tenant: `Effect.provideService(program, StatusSync, sync.forTenant("acme"))`. What is no name of a
   * tenant fails with a `PublishError` on `tenant` when something is published.
   */
  readonly forTenant: (tenant: string) => Service
}

/** The service: see {@link Service}.
 * @since 0.1.0
 * @category tags */
export class StatusSync extends Context.Tag("stratix/StatusSync")<StatusSync, Service>() {}

/** What publishing takes from the caller's context. */
interface Caller {
  readonly tenant: string
  readonly requestId: Option.Option<string>
  readonly idempotencyKey: string | undefined
}

const make = Effect.gen(function* () {
  const config = yield* StatusSyncConfig.StatusSyncConfig
  const declared = yield* DeclaredEvents.DeclaredEvents
  const log = yield* EventLog.EventLog
  const stamp = yield* Stamps.Stamps
  const broadcast = yield* Broadcast.Broadcast
  const connections = yield* Connections.Connections

  const refused = (error: EventLog.EventLogError) =>
    new PublishError({ reason: error.reason, field: "", detail: error.message })

  const draftOf = (event: UnknownEventInput, { requestId, tenant }: Caller) => {
    const nextStamp = () =>
      Option.match(requestId, { onNone: stamp.next, onSome: (id) => ({ ...stamp.next(), requestId: id }) })
    return encode(event, nextStamp, config, declared, tenant)
  }

  const draftsOf = Effect.fnUntraced(function* (events: ReadonlyArray<UnknownEventInput>, caller: Caller) {
    const drafts: Array<EventLog.Draft> = []
    for (const event of events) {
      // Never before the first: the first event is checked within the turn.
      if (drafts.length > 0) yield* EventLoop.step
      const draft = draftOf(event, caller)
      if (draft._tag === "Left") {
        const { detail, field, reason } = draft.left
        const at = [`${drafts.length}`, ...(field === "" ? [] : [field])].join(".")
        return yield* new PublishError({ reason, field: at, detail })
      }
      drafts.push(draft.right)
    }
    return drafts
  })

  /** Called by a fiber that publishes, at the moment it does. */
  const publish = (
    events: ReadonlyArray<UnknownEventInput>,
    caller: Caller,
    makeSpan?: () => Tracer.Span
  ): Effect.Effect<ReadonlyArray<Offset>, PublishError> => {
    const { idempotencyKey, requestId, tenant } = caller
    if (!Tenant.isName(tenant)) {
      return Effect.fail(
        new PublishError({ reason: "InvalidField", field: "tenant", detail: `must be ${Tenant.NAME_RULE}` })
      )
    }
    const known = Option.isSome(requestId) ? decodeRequestId(requestId.value) : undefined
    if (known?._tag === "Left") return Effect.fail(known.left)
    const append = (drafts: ReadonlyArray<EventLog.Draft>) =>
      Effect.mapBoth(log.append(drafts, { idempotencyKey }), {
        onFailure: refused,
        onSuccess: (offsets) => {
          broadcast.published(makeSpan?.())
          return offsets
        }
      })
    const [event] = events
    // A single event, as nearly all are, is published within the turn and without a generator.
    if (event === undefined || events.length > 1) return Effect.flatMap(draftsOf(events, caller), append)
    const draft = draftOf(event, caller)
    return draft._tag === "Left" ? Effect.fail(draft.left) : append([draft.right])
  }

  /** In two spans: that of the publication, and one from the request it is part of to the last socket write. */
  const publishTraced = (events: ReadonlyArray<UnknownEventInput>, caller: Caller, tracer: Tracer.Tracer) =>
    Effect.useSpan(
      Tracing.spans.publish,
      { kind: "producer", captureStackTrace: false, attributes: { "stratix.events": events.length } },
      (span) =>
        publish(events, caller, () => {
          const request = Tracing.requestOf(span)
          const { startTime } = request.status
          return tracer.span(
            Tracing.spans.publishToSocket,
            Option.some(request),
            Context.empty(),
            [],
            startTime,
            "internal"
          )
        })
    )

  const of = (tenant: string): Service => {
    const broadcastAll = (events: ReadonlyArray<UnknownEventInput>) =>
      Effect.withFiberRuntime<ReadonlyArray<Offset>, PublishError>((fiber) => {
        const caller = {
          tenant,
          requestId: fiber.getFiberRef(Stamps.currentRequestId),
          idempotencyKey: Option.getOrUndefined(
            Option.map(fiber.getFiberRef(Idempotency.currentIdempotencyKey), (key) => Tenant.scoped(tenant, key))
          )
        }
        return Tracing.isTraced(fiber) ? publishTraced(events, caller, fiber.currentTracer) : publish(events, caller)
      })

    const broadcastOne = (event: UnknownEventInput) => Effect.map(broadcastAll([event]), ([offset]) => offset ?? "")

    const publishOwn = <T extends string, A, I extends object>(
      event: StatusEvent<T, A, I>,
      payload: A,
      options: StampInput = {}
    ) => {
      const { eventType } = event
      if (declared.get(eventType) !== event) {
        const detail = `${eventType} is not declared to this gateway: name it in the \`events\` of its layer`
        return Effect.fail(new PublishError({ reason: "InvalidField", field: "eventType", detail }))
      }
      return event.encode(payload).pipe(
        Effect.mapError((error) => refusal(error, "payload")),
        Effect.flatMap((encoded) => broadcastOne({ ...options, eventType, payload: encoded }))
      )
    }

    /** What removes each command that an agent has now. */
    const commandsOf = (agentId: string): Effect.Effect<ReadonlyArray<UnknownEventInput>, PublishError> =>
      log
        .latest(Filter.inTenant(Filter.fromFields({ events: [COMMAND_STATUS_UPDATE], agents: [agentId] }), tenant))
        .pipe(
          Effect.mapBoth({
            onFailure: refused,
            onSuccess: ({ entries }) =>
              entries.map(({ commandId }) => ({ eventType: COMMAND_REMOVE, payload: { commandId, agentId } }))
          })
        )

    const subscribe = Subscription.make(log, tenant)

    const notifyAgentStatus = (
      agentId: string,
      status: AgentStatus,
      { endCommands, extra, lease, reason }: ScopedAgent.AgentStatusOptions = {}
    ) =>
      broadcastOne({
        eventType: AGENT_STATUS_UPDATE,
        payload: { agentId, status, ...(reason !== undefined && { reason }) },
        extra,
        leaseMs: lease === undefined ? undefined : Duration.toMillis(lease),
        endCommands
      })

    const renewLease = (agentId: string) => Effect.mapError(log.renew(agentId, tenant), refused)

    return StatusSync.of({
      broadcast: broadcastOne,
      broadcastAll,
      broadcastUnknown: broadcastOne,
      broadcastAllUnknown: broadcastAll,
      publish: publishOwn,
      remove: ({ eventType }, key) => broadcastOne({ eventType: KEY_REMOVE, payload: { eventType, key } }),
      notifyAgentStatus,
      renewLease,
      agent: (agentId, options) => ScopedAgent.make({ notifyAgentStatus, renewLease }, agentId, options),
      notifyCommandStatus: (commandId, agentId, commandStatus, progress, result, error, extra) =>
        broadcastOne({
          eventType: COMMAND_STATUS_UPDATE,
          payload: {
            commandId,
            agentId,
            commandStatus,
            ...(progress !== undefined && { progress }),
            ...(result !== undefined && { result }),
            ...(error !== undefined && { error })
          },
          extra
        }),
      notifyAgentCreate: (agentId, name, type, extra) =>
        broadcastOne({ eventType: AGENT_CREATE, payload: { agentId, name, type }, extra }),
      notifyAgentRemove: (agentId, { commands = false } = {}) =>
        Effect.gen(function* () {
          const removed = commands ? yield* commandsOf(agentId) : []
          const offsets = yield* broadcastAll([...removed, { eventType: AGENT_REMOVE, payload: { agentId } }])
          return offsets.at(-1) ?? ""
        }),
      subscribe,
      events: Stream.unwrapScoped(subscribe),
      clientCount: connections.countOf(tenant),
      forTenant: of
    })
  }

  return of(Tenant.DEFAULT)
})

/** The service on its log and its connections.
 * @since 0.1.0
 * @category layers */
export const layer: Layer.Layer<
  StatusSync,
  never,
  StatusSyncConfig.StatusSyncConfig | EventLog.EventLog | Stamps.Stamps | Broadcast.Broadcast | Connections.Connections
> = Layer.effect(StatusSync, make)
