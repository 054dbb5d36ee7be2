/** The handshake on its own, for tests of its decisions. */
import { Context, Effect, Exit, Layer, Redacted } from "effect"
import { Authenticator, StatusSyncConfig } from "../../src/stratix-gateway/index.js"
import { Handshake, Limits, type Refusal, Refusals, type Transport } from "../../src/stratix-gateway/internals.js"

/** An upgrade that is right. */
export const good: Transport.UpgradeRequest = {
  asks: "websocket",
  method: "GET",
  url: "/",
  remoteAddress: "203.0.113.7",
  local: false,
  headers: {
    host: "localhost",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ=="
  }
}
type Headers = Record<string, string | ReadonlyArray<string> | undefined>
/** The same with a change. */
export const asked = (change: Partial<Transport.UpgradeRequest>, headers: Headers = {}) => ({
  ...good,
  ...change,
  headers: { ...good.headers, ...headers }
})
/** A request for an event stream. */
export const stream = (
  change: Partial<Transport.UpgradeRequest> = {},
  headers: Headers = {}
): Transport.UpgradeRequest => ({
  ...good,
  asks: "stream",
  ...change,
  headers: { host: "localhost", ...headers }
})
export const offering = (...protocols: ReadonlyArray<string>) => ({ "sec-websocket-protocol": protocols.join(", ") })
export const SYNC = "stratix.sync.v1"
export const PLAIN = "stratix.plain.v1"

export const principal = (more: Partial<Authenticator.Principal> = {}): Authenticator.Principal => ({
  ...Authenticator.anonymous,
  name: "dash",
  ...more
})

export interface World {
  readonly settings?: Partial<StatusSyncConfig.Settings>
  readonly verify?: Authenticator.TokenVerifier["verify"]
  readonly isStillValid?: boolean
  readonly acquire?: (permit: Limits.Permit) => Effect.Effect<Limits.Permit, Limits.LimitExceeded>
}

/** The handshake alone, and what it asks of others. */
export const world = ({
  acquire = Exit.succeed,
  isStillValid = true,
  settings = {},
  verify = () => Exit.succeed(principal())
}: World = {}) =>
  Effect.gen(function* () {
    const permits: Array<string> = []
    const refusals: Array<ReadonlyArray<unknown>> = []
    const shown: Array<string | undefined> = []
    const permit: Limits.Permit = {
      handshakeDone: (outcome) => permits.push(outcome),
      release: () => permits.push("released")
    }
    const authenticator = Authenticator.make({
      verifiers: [
        {
          verify: (credentials) => {
            shown.push(credentials.token && Redacted.value(credentials.token))
            return verify(credentials)
          },
          isStillValid: () => isStillValid
        }
      ]
    })
    const limits = Limits.Limits.of({
      clientAddress: (peer, forwardedFor) => forwardedFor ?? peer,
      acquire: () => acquire(permit),
      takePublishes: () => Exit.void
    })
    const recordRefusal = (...[reason, , address]: ReadonlyArray<string | undefined>) => {
      refusals.push([reason, address])
    }
    const needs = Layer.mergeAll(
      StatusSyncConfig.layer(settings),
      Layer.scoped(Authenticator.Authenticator, authenticator),
      Layer.succeed(Limits.Limits, limits),
      Layer.succeed(Refusals.Refusals, { recordRefusal })
    )
    const { addressOf, decide } = yield* Layer.build(Layer.provide(Handshake.layer, needs)).pipe(
      Effect.map(Context.get(Handshake.Handshake))
    )
    return { addressOf, decide, permit, permits, refusals, shown }
  })

export const withoutTag = ({ headers, reason, status }: Refusal.Refusal) => ({ reason, status, headers })
export const refusedBy =
  (world: { readonly decide: typeof Handshake.Handshake.Service.decide }) =>
  (...args: Parameters<typeof Handshake.Handshake.Service.decide>) =>
    Effect.map(Effect.flip(world.decide(...args)), withoutTag)
