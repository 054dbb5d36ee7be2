/**
 * What a gateway's author may put in place of the service's own parts, or add to them.
 *
 * @since 0.1.0
 */
import * as Layer from "effect/Layer"
import type { AnyStatusEvent } from "../stratix-core/StatusEvent.js"
import type * as StatusSyncConfig from "./config/StatusSyncConfig.js"
import * as EventLogs from "./EventLogs.js"
import * as DeclaredEvents from "./log/DeclaredEvents.js"
import type { EventLog, EventLogStartError } from "./log/EventLog.js"

/** Parts of a gateway.
 * @since 0.1.0
 * @category models */
export interface Parts<E = never, R = never> {
  /** Event types of your own, as `StatusEvent.define` declares them. */
  readonly events?: ReadonlyArray<AnyStatusEvent> | undefined
  /** The log; by default the one that the settings name. */
  readonly log?: Layer.Layer<EventLog, E, R> | undefined
}

/** Settings, and parts.
 * @since 0.1.0
 * @category models */
export type Options<E = never, R = never, Settings = StatusSyncConfig.Settings> = Partial<Settings> & Parts<E, R>

/** The log of these parts. */
export const logOf = <E, R>({
  log
}: Parts<E, R>): Layer.Layer<EventLog, E | EventLogStartError, R | StatusSyncConfig.StatusSyncConfig> =>
  EventLogs.orThatOfPrimary<E | EventLogStartError, R | StatusSyncConfig.StatusSyncConfig>(log ?? EventLogs.layerConfig)

/** A gateway that knows the event types of these parts. */
export const withEvents = <A, E, R>(
  gateway: Layer.Layer<A, E, R>,
  { events }: Pick<Parts, "events">
): Layer.Layer<A, E, R> => (events === undefined ? gateway : Layer.provide(gateway, DeclaredEvents.layer(events)))
