/**
 * Appending once, though asked twice: a publisher that got no answer asks again under the same key.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import { globalValue } from "effect/GlobalValue"
import * as Option from "effect/Option"
import type { Offset } from "../../stratix-core/stratix-protocol.js"
import type { Settings } from "../config/StatusSyncConfig.js"

/** The idempotency key of the caller's context; see `withIdempotencyKey`.
 * @since 0.1.0
 * @category context */
export const currentIdempotencyKey: FiberRef.FiberRef<Option.Option<string>> = globalValue(
  "stratix/currentIdempotencyKey",
  () => FiberRef.unsafeMake(Option.none<string>())
)

/** What is published inside is published once, however often it is tried under this key: each time with the offsets of the first. One key belongs to
 * one publication.
 * @since 0.1.0
 * @category context */
export const withIdempotencyKey =
  (key: string) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.locally(effect, currentIdempotencyKey, Option.some(key))

interface Append {
  readonly offsets: ReadonlyArray<Offset>
  readonly at: number
}

/** What was appended under a key. Bound: idempotencyRetention, and idempotencyCapacity offsets; the oldest are forgotten. */
export class KeyedAppends {
  private readonly byKey = new Map<string, Append>()
  private held = 0
  private readonly retention: number

  /** `onForget` is told the keys that are forgotten. */
  constructor(
    private readonly settings: Settings,
    private readonly onForget: (key: string) => void = () => undefined
  ) {
    this.retention = Duration.toMillis(settings.idempotencyRetention)
  }

  /** The offsets that were given under this key. */
  find(key: string, now: number): ReadonlyArray<Offset> | undefined {
    this.forget(now)
    return this.byKey.get(key)?.offsets
  }

  add(key: string, offsets: ReadonlyArray<Offset>, now: number): void {
    this.byKey.set(key, { offsets, at: now })
    this.held += offsets.length
    this.forget(now)
  }

  private forget(now: number): void {
    for (const [key, { at, offsets }] of this.byKey) {
      if (at > now - this.retention && this.held <= this.settings.idempotencyCapacity) break
      this.byKey.delete(key)
      this.onForget(key)
      this.held -= offsets.length
    }
  }
}
