/**
 * What a flush was worth: how many events shared it, how long the oldest of them waited, and the end of the spans that wait for it.
 */
import type * as Clock from "effect/Clock"
import * as Exit from "effect/Exit"
import type * as Tracer from "effect/Tracer"
import { monotonicMillis } from "../runtime/TimeoutQueues.js"
import * as Metrics from "../telemetry/Metrics.js"

/** Measures the flushes of one fan-out. It reads the clock twice per flush, and does nothing per event but see that one waits already. */
export class FlushMeter {
  /** When the oldest event that was not flushed yet had its place in the log. */
  private since: number | undefined = undefined
  // Bound: one for each publication between two flushes, and half a history of events forces a flush.
  private traced: Array<Tracer.Span> = []

  constructor(
    private readonly clock: Clock.Clock,
    /** Whether latencies and sizes are observed; spans are ended anyway. */
    private readonly observes: boolean
  ) {}

  /** An event waits for the next flush, and so may a span that ends with it. */
  waits(span?: Tracer.Span): void {
    if (this.observes) this.since ??= monotonicMillis(this.clock)
    if (span !== undefined) this.traced.push(span)
  }

  /** The last socket write of a flush is done. */
  flushed(events: number, deliveries: number, bytes: number): void {
    if (this.since !== undefined) {
      Metrics.flushEvents.unsafeUpdate(events, [])
      // Without a connection to write to, the time says nothing about writing.
      if (deliveries > 0) {
        Metrics.publishToSocket.unsafeUpdate((monotonicMillis(this.clock) - this.since) / 1000, [])
      }
      this.since = undefined
    }
    if (this.traced.length > 0) {
      this.end({ "stratix.events": events, "stratix.deliveries": deliveries, "stratix.bytes": bytes })
    }
  }

  /** The events have left the history before they were flushed: every connection will be caught up. */
  overrun(): void {
    this.since = undefined
    this.end({ "stratix.overrun": true })
  }

  private end(attributes: Readonly<Record<string, unknown>>): void {
    const ended = this.traced
    this.traced = []
    const now = this.clock.unsafeCurrentTimeNanos()
    for (const span of ended) {
      for (const [name, value] of Object.entries(attributes)) span.attribute(name, value)
      span.end(now, Exit.void)
    }
  }
}
