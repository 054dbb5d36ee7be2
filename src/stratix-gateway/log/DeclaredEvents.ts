/**
 * The event types of its own that a gateway knows.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import type { AnyStatusEvent } from "../../stratix-core/StatusEvent.js"

/** Declared event types by name. Without the layer there are none.
 * @since 0.1.0
 * @category tags */
export class DeclaredEvents extends Context.Reference<DeclaredEvents>()("stratix/DeclaredEvents", {
  defaultValue: (): ReadonlyMap<string, AnyStatusEvent> => new Map()
}) {}

/** Declares event types to the layers that it is provided to. Throws where two have the same name.
 * @since 0.1.0
 * @category layers */
export const layer = (events: ReadonlyArray<AnyStatusEvent>): Layer.Layer<DeclaredEvents> => {
  const byType = new Map(events.map((event) => [event.eventType, event]))
  for (const event of events) {
    if (byType.get(event.eventType) !== event) throw new TypeError(`${event.eventType} is declared twice`)
  }
  return Layer.succeed(DeclaredEvents, byType)
}
