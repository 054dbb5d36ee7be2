/**
 * The ordered sequence of all events: offsets, history, latest, and the hub that announces what is new.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { AgentStatus, CommandStatus, type Offset, type SyncMode } from "../../stratix-core/stratix-protocol.js"
import type * as Metrics from "../telemetry/Metrics.js"
import * as Filter from "./Filter.js"
import type { Revocations } from "./Revocations.js"
import type { Stamp } from "./Stamps.js"

/** How long an agent's status holds without being renewed. At its end the log says that the agent is offline.
 * @since 0.1.0
 * @category models */
export interface Lease {
  readonly millis: number
  /** Whether the commands that the agent is running then have failed. */
  readonly endCommands: boolean
}

/** An event that has no place in the log yet: encoded once, with what routes it beside it.
 * @since 0.1.0
 * @category models */
export interface Draft extends Filter.Filterable {
  /** What it is the newest state of, scoped by its tenant; `undefined`: of nothing. */
  readonly key: string | undefined
  /** Of an event type of the author's own: its key among the events of this type, or the one that it ends. */
  readonly own: string | undefined
  /** Keys that it ends, scoped by its tenant: they leave `latest`. An event that ends keys has none itself. */
  readonly removes: ReadonlyArray<string>
  /** Of an agent's or a command's status. */
  readonly status: AgentStatus | CommandStatus | undefined
  /** The last word on its key: the key may leave `latest` after the retention time. */
  readonly finished: boolean
  /** Of an agent's status: it holds for so long. One without a lease ends the one before. */
  readonly lease: Lease | undefined
  readonly stamp: Stamp
  /** The event as it stands on the wire. */
  readonly json: string
}

const maybe = <A, I>(schema: Schema.Schema<A, I>) => Schema.UndefinedOr(schema)

/** A draft as JSON, for logs that keep what they are given in a store.
 * @since 0.1.0
 * @category schemas */
export const Draft: Schema.Schema<Draft> = Schema.Struct({
  tenant: Schema.String,
  eventType: Schema.String,
  agentId: maybe(Schema.String),
  commandId: maybe(Schema.String),
  key: maybe(Schema.String),
  own: maybe(Schema.String),
  removes: Schema.Array(Schema.String),
  status: maybe(Schema.Union(AgentStatus, CommandStatus)),
  finished: Schema.Boolean,
  lease: maybe(Schema.Struct({ millis: Schema.Number, endCommands: Schema.Boolean })),
  stamp: Schema.Struct({ timestamp: Schema.Number, requestId: Schema.String }),
  json: Schema.String
})

/** An event in the log.
 * @since 0.1.0
 * @category models */
export interface LogEntry extends Draft {
  readonly offset: Offset
  /** Place in the order in which this process learned of events: dense, from 1, and its own; not for the wire. */
  readonly index: number
  /** Of a key that another agent or command had until now: the removal that those are told instead who may see only what that one has. */
  readonly departure: LogEntry | undefined
}

/** An event as it stands on the wire.
 * @since 0.1.0
 * @category conversions */
export const jsonOf = (eventType: string, payloadJson: string, { requestId, timestamp }: Stamp): string =>
  `{"eventType":${JSON.stringify(eventType)},"payload":${payloadJson},"timestamp":${timestamp},"requestId":${JSON.stringify(requestId)}}`

/** What a reader is told of an event: the event, the removal that stands for it, or nothing.
 * @since 0.1.0
 * @category conversions */
export const toldOf = (entry: LogEntry, filter: Filter.Filter): LogEntry | undefined =>
  Filter.matches(filter, entry)
    ? entry
    : entry.departure !== undefined && Filter.matches(filter, entry.departure)
      ? entry.departure
      : undefined

/** The event as a sync client gets it: with its offset as fifth field, and its key where that is the author's own.
 * @since 0.1.0
 * @category conversions */
export const withOffset = ({ json, key, offset, own }: LogEntry): string =>
  own === undefined || key === undefined
    ? `${json.slice(0, -1)},"offset":"${offset}"}`
    : `${json.slice(0, -1)},"offset":"${offset}","key":${JSON.stringify(own)}}`

/** A place in the log.
 * @since 0.1.0
 * @category models */
export interface Position {
  readonly offset: Offset
  readonly index: number
}

/** What `since` is asked for.
 * @since 0.1.0
 * @category models */
export interface SinceOptions {
  readonly filter?: Filter.Filter
  /** Nothing after this offset; the head if absent. */
  readonly until?: Offset
  /** Stops after about so many characters of events. */
  readonly maxBytes?: number
  /** Set while a conflated catch-up or a snapshot goes on: the offset up to which the reader knew everything when it began. Keeps it conflated, so that it can end. */
  readonly conflateFrom?: Offset
  /** Set for a reader that cannot be told to forget: what has a cursor is then never answered with a snapshot. */
  readonly neverSnapshot?: boolean
}

/** Events that bring a cursor to `to`.
 * @since 0.1.0
 * @category models */
export interface CatchUp {
  /** `resume`: every event. `conflated`: the newest of each key, and the removals. `snapshot`: as conflated, and what was known before must be forgotten. */
  readonly mode: SyncMode
  readonly entries: ReadonlyArray<LogEntry>
  readonly to: Offset
  /** `to` is not yet `until`. */
  readonly more: boolean
  /** Events without a key that were left out. Counted before the filter, so with a filter it is an upper bound. */
  readonly lost: number
}

/** The newest event of every key, at one moment.
 * @since 0.1.0
 * @category models */
export interface Latest {
  readonly head: Offset
  readonly entries: ReadonlyArray<LogEntry>
}

/** How to append.
 * @since 0.1.0
 * @category models */
export interface AppendOptions {
  /** Appended before under this key, and not too long ago: nothing is appended, and the answer is that of then. */
  readonly idempotencyKey?: string | undefined
}

/** The log did not take or give events. `Uncertain`: they may have been appended; with the other reasons they were not.
 * @since 0.1.0
 * @category errors */
export class EventLogError extends Schema.TaggedError<EventLogError>("stratix/EventLogError")("EventLogError", {
  reason: Schema.Literal("Closed", "Unavailable", "Uncertain"),
  detail: Schema.optional(Schema.String)
}) {
  override get message(): string {
    if (this.reason === "Closed") return "the log is closed: the gateway is shutting down"
    const said = this.detail === undefined ? "" : `: ${this.detail}`
    return this.reason === "Unavailable"
      ? `the log cannot be reached, and nothing was published${said}`
      : `the log did not answer in time, and may have taken the events${said}`
  }
}

/** Why a gateway does not start on this log, until an operator has changed something.
 * @since 0.1.0
 * @category errors */
export class EventLogStartError extends Schema.TaggedError<EventLogStartError>("stratix/EventLogStartError")(
  "EventLogStartError",
  {
    /** `Refused`: the engine cannot hold a log. `Format`: another version wrote it. `Settings`: gateways with other settings are running on it. */
    reason: Schema.Literal("Refused", "Format", "Settings"),
    detail: Schema.String
  }
) {
  override get message(): string {
    return `STRATIX_EVENT_LOG (eventLog): ${this.detail}`
  }
}

/** How a log is.
 * @since 0.1.0
 * @category models */
export interface Health {
  /** Milliseconds for which the engine of the log has not been reached; 0 while it is. What is served is so old at the most. */
  readonly staleMillis: number
  /** Times that another epoch began while this gateway was there. */
  readonly epochChanges: number
  /** Times that everything was read anew, because what this gateway had was not part of the log any more. */
  readonly rebuilds: number
  /** Events that the engine has, as far as is known, and this gateway has not read yet. */
  readonly unread: number
  /** Appends that failed, by what their publishers were told. */
  readonly failures: Readonly<Record<Metrics.LogFailure, number>>
}

/** How stale a log is, as the wire says it: `staleMs`, absent while its engine is reached.
 * @since 0.1.0
 * @category conversions */
export const staleness = ({ staleMillis }: Health): { readonly staleMs?: number } =>
  staleMillis > 0 ? { staleMs: Math.ceil(staleMillis) } : {}

/** The log. Any implementation must pass `eventLogSuite`.
 * @since 0.1.0
 * @category tags */
export class EventLog extends Context.Tag("stratix/EventLog")<
  EventLog,
  {
    /** Names the log: its offsets mean something to logs of this name only. A log that does not outlive its process has a new one each time. */
    readonly id: string
    /** Gives all events their places, next to each other, or none. Completes once they have them. What leaves `latest` by age or by a cap leaves it by
     * a removal that the log itself appends, and what ends a lease is an event of the log's own as well. */
    readonly append: (
      drafts: ReadonlyArray<Draft>,
      options?: AppendOptions
    ) => Effect.Effect<ReadonlyArray<Offset>, EventLogError>
    /** Renews the lease of an agent, without an event: it runs its full length from now on. `false`: the agent has none. */
    readonly renew: (agentId: string, tenant?: string) => Effect.Effect<boolean, EventLogError>
    /** Everything after the cursor that the filter lets through: exactly where history has it, else conflated. No cursor, or one this log never gave: a snapshot. */
    readonly since: (cursor: Offset | undefined, options?: SinceOptions) => Effect.Effect<CatchUp, EventLogError>
    /** The newest event of every key, in offset order. `pause` is run between two parts of gathering them; what is appended meanwhile is not among them. */
    readonly latest: (filter?: Filter.Filter, pause?: Effect.Effect<void>) => Effect.Effect<Latest, EventLogError>
    /** Announces every event appended from now on. A subscriber more than a history behind loses the oldest ones. */
    readonly subscribe: Effect.Effect<Queue.Dequeue<LogEntry>, never, Scope.Scope>
    /** Completes once this process knows of the place, or will not know of it soon: another process of a shared log may have given it a moment ago. Known at once where there is nothing to wait for. */
    readonly reached: (offset: Offset) => Effect.Effect<void>
    /** Completes the next time that the history is another one: what this process learned of before is not in the tail any more. */
    readonly rebuilds: Effect.Effect<void>
    /** The newest place this process knows of. */
    readonly head: () => Position
    /** The events this process learned of after `index`, or `undefined` where some of them have left its history. Synchronous: the fan-out reads with it. */
    readonly tail: (index: number) => ReadonlyArray<LogEntry> | undefined
    /** The event with this index, or the oldest one, if this process's history still has it. */
    readonly at: (index?: number) => LogEntry | undefined
    /** How far behind the newest place a reader is who has been given everything up to `cursor`; one without a cursor has been given nothing. */
    readonly lag: (cursor: Offset | undefined) => Lag
    /** How much is held, and how much was let go. */
    readonly stats: () => Stats
    readonly health: () => Health
    /** Where the log outlives this process, or others have it too: what it remembers of revoked names. */
    readonly revocations?: Revocations | undefined
  }
>() {}

/** The health of a log whose engine is this process.
 * @since 0.1.0
 * @category constructors */
export const healthy: Health = {
  staleMillis: 0,
  epochChanges: 0,
  rebuilds: 0,
  unread: 0,
  failures: { unavailable: 0, uncertain: 0 }
}

/** How far a cursor is behind the newest place.
 * @since 0.1.0
 * @category models */
export interface Lag {
  readonly events: number
  /** Age of the oldest event after the cursor, in milliseconds; where that has left the history, of the oldest one that has not. */
  readonly millis: number
}

/** Event types that a log takes note of: more than the publishers of one gateway have names for.
 * @since 0.1.0
 * @category constants */
export const MAX_EVENT_TYPES = 1000

/** How much a log holds.
 * @since 0.1.0
 * @category models */
export interface Stats {
  /** Events that were appended by this process, by what they are. */
  readonly appended: Readonly<Record<Metrics.EventKind, number>>
  /** The types of the events that this process has learned of, scoped by their tenants; the first MAX_EVENT_TYPES. */
  readonly eventTypes: ReadonlySet<string>
  readonly historyEvents: number
  readonly historyBytes: number
  readonly keys: number
  readonly removalMarks: number
  /** Agents that have a status, by status. */
  readonly agents: ReadonlyMap<string, number>
  /** Commands that are held, by status. */
  readonly commands: ReadonlyMap<string, number>
  /** Finished commands that the log removed by age or above the cap. */
  readonly finishedDropped: number
  /** Other agents and commands that the log removed because there were too many keys. */
  readonly keysDropped: number
  /** Agents that have a lease. */
  readonly leases: number
  /** Agents that the log said are offline, because they did not renew their lease. */
  readonly leasesExpired: number
}
