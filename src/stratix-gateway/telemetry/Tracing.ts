/**
 * Spans where somebody listens to them, and nothing at all where nobody does.
 *
 * @since 0.1.0
 */
import * as Headers from "@effect/platform/Headers"
import * as HttpTraceContext from "@effect/platform/HttpTraceContext"
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"

/** Names of the spans. That of an HTTP request is `http.server <method>`, by the platform.
 * @since 0.1.0
 * @category constants */
export const spans = {
  /** The decision on an upgrade. */
  handshake: "stratix.handshake",
  /** From the check of events to their place in the log. */
  publish: "stratix.publish",
  /** From the HTTP request that published events to after the last socket write of their flush. */
  publishToSocket: "stratix.publish_to_socket",
  /** From the first step of a catch-up until the connection is live, or gone. */
  catchUp: "stratix.catch_up"
} as const

const native = Context.get(DefaultServices.liveServices, Tracer.Tracer)

/** The tracer in force, if somebody listens to it: Effect's own keeps spans that nobody reads.
 * @since 0.1.0
 * @category constructors */
export const listening: Effect.Effect<Tracer.Tracer | undefined> = Effect.map(Effect.tracer, (tracer) =>
  tracer === native ? undefined : tracer
)

/** The trace that whoever sent these headers is in.
 * @since 0.1.0
 * @category accessors */
export const callerOf = (headers: Headers.Input): Tracer.ExternalSpan | undefined =>
  Option.getOrUndefined(HttpTraceContext.fromHeaders(Headers.fromInput(headers)))

/** Whether a fiber is in a span that is recorded, and somebody listens.
 * @since 0.1.0
 * @category accessors */
export const isTraced = (fiber: Fiber.RuntimeFiber<unknown, unknown>): boolean =>
  fiber.currentSpan?.sampled === true && fiber.currentTracer !== native

/** The request that a span is part of: the nearest one around it whose kind is `server`, else the span itself.
 * @since 0.1.0
 * @category accessors */
export const requestOf = (span: Tracer.Span): Tracer.Span => {
  let at: Tracer.AnySpan | undefined = span
  while (at !== undefined && at._tag === "Span") {
    if (at.kind === "server") return at
    at = Option.getOrUndefined(at.parent)
  }
  return span
}
