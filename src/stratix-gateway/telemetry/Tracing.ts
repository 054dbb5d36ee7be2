/**
 * Spans, made only where a tracer records them.
 */
import * as Headers from "@effect/platform/Headers"
import * as HttpTraceContext from "@effect/platform/HttpTraceContext"
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"

/** Names of the spans. The platform names that of an HTTP request: `http.server <method>`. */
export const spans = {
  /** The decision on an upgrade. */
  handshake: "stratix.handshake",
  /** From the validation of events to their place in the log. */
  publish: "stratix.publish",
  /** From the HTTP request that published events to the last socket write of their flush. */
  publishToSocket: "stratix.publish_to_socket",
  /** From the first step of a catch-up until the connection is live, or gone. */
  catchUp: "stratix.catch_up"
} as const

const native = Context.get(DefaultServices.liveServices, Tracer.Tracer)

/** The tracer in use, unless it is Effect's default, whose spans are never read. */
export const listening: Effect.Effect<Tracer.Tracer | undefined> = Effect.map(Effect.tracer, (tracer) =>
  tracer === native ? undefined : tracer
)

/** The trace context in these headers. */
export const callerOf = (headers: Headers.Input): Tracer.ExternalSpan | undefined =>
  Option.getOrUndefined(HttpTraceContext.fromHeaders(Headers.fromInput(headers)))

/** Whether a fiber is inside a span that is being recorded. */
export const isTraced = (fiber: Fiber.RuntimeFiber<unknown, unknown>): boolean =>
  fiber.currentSpan?.sampled === true && fiber.currentTracer !== native

/** The request a span is part of: the nearest enclosing span of kind `server`, or the span itself. */
export const requestOf = (span: Tracer.Span): Tracer.Span => {
  let at: Tracer.AnySpan | undefined = span
  while (at !== undefined && at._tag === "Span") {
    if (at.kind === "server") return at
    at = Option.getOrUndefined(at.parent)
  }
  return span
}
