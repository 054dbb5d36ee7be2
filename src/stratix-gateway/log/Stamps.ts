/**
 * When something happened and which request caused it: the last two fields of everything on the wire.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import { globalValue } from "effect/GlobalValue"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Primary from "../channel/Primary.js"

/** @since 0.1.0
 * @category models */
export interface Stamp {
  /** Milliseconds since the Unix epoch. */
  readonly timestamp: number
  readonly requestId: string
}

/** Makes stamps that are unique within a gateway, even if the clock is set back.
 * @since 0.1.0
 * @category tags */
export class Stamps extends Context.Tag("stratix/Stamps")<Stamps, { readonly next: () => Stamp }>() {}

/** The request id of the caller's context; see `withRequestId`.
 * @since 0.1.0
 * @category context */
export const currentRequestId: FiberRef.FiberRef<Option.Option<string>> = globalValue("stratix/currentRequestId", () =>
  FiberRef.unsafeMake(Option.none<string>())
)

/** Everything published inside carries this request id, of 1 to 256 characters, instead of a generated one. With any other text publishing fails with a `PublishError` on `requestId`.
 * @since 0.1.0
 * @category context */
export const withRequestId =
  (requestId: string) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.locally(effect, currentRequestId, Option.some(requestId))

const make = Effect.gen(function* () {
  const clock = yield* Effect.clock
  const worker = yield* Primary.Primary
  // Workers of one gateway have the same clock.
  const own = worker === undefined ? "" : `-w${worker.number}`
  let last = -1
  let repeated = 0
  return Stamps.of({
    next: () => {
      const timestamp = clock.unsafeCurrentTimeMillis()
      if (timestamp > last) {
        last = timestamp
        repeated = 0
        return { timestamp, requestId: `stratix-req-${timestamp}${own}` }
      }
      return { timestamp, requestId: `stratix-req-${last}${own}-${++repeated}` }
    }
  })
})

/** Stamps by Effect's `Clock`.
 * @since 0.1.0
 * @category layers */
export const layer: Layer.Layer<Stamps> = Layer.effect(Stamps, make)
