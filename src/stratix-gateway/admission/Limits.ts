/**
 * How much of the gateway a client may use: connections, handshakes, published events.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import { anonymous, type Principal } from "../auth/Principal.js"
import * as Primary from "../channel/Primary.js"
import * as StatusSyncConfig from "../config/StatusSyncConfig.js"
import * as Tenant from "../log/Tenant.js"
import * as IpAddress from "../runtime/IpAddress.js"
import { monotonicMillis } from "../runtime/TimeoutQueues.js"
import type { RefusalReason } from "../telemetry/Metrics.js"
import { AddressBudgets } from "./AddressBudgets.js"
import * as ClientAddress from "./ClientAddress.js"
import type { HandshakeOutcome, LimitExceeded, Permit } from "./Permit.js"
import * as SharedLimits from "./SharedLimits.js"
import { KeyedTokenBuckets, TokenBucket } from "./TokenBucket.js"

export type { HandshakeOutcome, LimitExceeded, Permit } from "./Permit.js"

/** The limits in force.
 * @since 0.1.0
 * @category tags */
export class Limits extends Context.Tag("stratix/Limits")<
  Limits,
  {
    /** The address of the client behind a peer: see `ClientAddress.of`. */
    readonly clientAddress: (peer: string, forwardedFor: string | undefined) => string
    /** Acquires a permit for a handshake from this address. */
    readonly acquire: (address: string) => Effect.Effect<Permit, LimitExceeded>
    /** Takes `count` events off the publish rate of this principal. With 0, only checks whether it may publish at all. */
    readonly takePublishes: (principal: Principal, address: string, count: number) => Effect.Effect<void, LimitExceeded>
  }
>() {}

/** Burst, in seconds of the rate: dashboards all reconnect at the same moment, and publishers send batches. */
const HANDSHAKES_AT_ONCE = 5
const PUBLISHED_AT_ONCE = 2

/** Of the burst, what clients may use that have had no connection lately: the rest is for those that come back. */
const SHARE_OF_UNKNOWN = 0.5

/** Of the handshakes under way, what one address may hold that has had no connection lately: a token that is slow to check must not keep out all others. */
const SHARE_UNDER_WAY = 0.25

const THIS_MACHINE: ReadonlySet<string> = new Set(["127.0.0.1", "::1"])

/** When to ask a full gateway again, in seconds: connections last, so asking soon is no use. */
const FULL_RETRY = 10

const seconds = (millis: number): number => Math.max(1, Math.ceil(millis / 1000))

/** The counts of a gateway, for the process that counts for all its workers.
 * @since 0.1.0
 * @category constructors */
export const counts: Effect.Effect<SharedLimits.Counts, never, StatusSyncConfig.StatusSyncConfig> = Effect.gen(
  function* () {
    const config = yield* StatusSyncConfig.StatusSyncConfig
    const clock = yield* Effect.clock
    const handshakes = new TokenBucket(config.handshakeRate, HANDSHAKES_AT_ONCE)
    const published = new KeyedTokenBuckets(new TokenBucket(config.publishRate, PUBLISHED_AT_ONCE))
    // An address has at most so many connections, and may make them all at once.
    const addresses = new AddressBudgets({
      rate: config.handshakeRate === 0 ? 0 : config.maxConnectionsPerAddress / HANDSHAKES_AT_ONCE,
      seconds: HANDSHAKES_AT_ONCE
    })
    const maxUnderWay = Math.max(1, Math.floor(config.maxHandshakes * SHARE_UNDER_WAY))
    let handshakesFullAt = 0
    let underWay = 0
    let held = 0

    class HeldPermit implements Permit {
      private settled = false
      private admitted = false
      private left = false
      constructor(private readonly network: string | undefined) {}

      handshakeDone(outcome: HandshakeOutcome): void {
        if (this.settled) return
        this.settled = true
        this.admitted = outcome === "admitted"
        underWay--
        if (this.network === undefined) return
        const now = monotonicMillis(clock)
        addresses.handshakeDone(this.network)
        if (outcome === "admitted") addresses.admit(this.network, now)
        if (outcome === "refused") addresses.refuse(this.network, now)
      }

      release(): void {
        if (this.left) return
        this.left = true
        held--
        if (this.network !== undefined) addresses.release(this.network, this.admitted, monotonicMillis(clock))
      }
    }

    const over = (reason: RefusalReason, status: 429 | 503, message: string, retryAfterSeconds: number) =>
      Exit.fail<LimitExceeded>({ reason, status, message, retryAfterSeconds })

    return {
      acquire: (address) => {
        const now = monotonicMillis(clock)
        // What a proxy on this machine that is not declared comes from, for many clients.
        const network = THIS_MACHINE.has(address) ? undefined : IpAddress.network(address)
        if (network !== undefined) {
          // First: an address that asks and asks takes nothing from others.
          const wait = addresses.wait(network, now)
          if (wait > 0) return over("handshake_rate", 429, "too many handshakes from this address", seconds(wait))
          if (addresses.permits(network) >= config.maxConnectionsPerAddress) {
            return over("connections_per_address", 429, "too many connections from this address", FULL_RETRY)
          }
        }
        const isKnown = network === undefined || !addresses.knowsAny() || addresses.isKnown(network, now)
        const wait = handshakes.wait(handshakesFullAt, now, isKnown ? 1 : SHARE_OF_UNKNOWN)
        if (wait > 0) return over("handshake_rate", 503, "too many connect at once", seconds(wait))
        const isFull =
          underWay >= config.maxHandshakes ||
          (network !== undefined && !isKnown && addresses.underWay(network) >= maxUnderWay)
        if (isFull) return over("handshakes", 503, "too many connect at once", 1)
        if (held >= config.maxConnections) return over("connections", 503, "the gateway is full", FULL_RETRY)
        handshakesFullAt = handshakes.take(handshakesFullAt, now, 1)
        underWay++
        held++
        if (network !== undefined) addresses.begin(network, now)
        return Exit.succeed(new HeldPermit(network))
      },
      takePublishes: (key, name, count) => {
        const now = monotonicMillis(clock)
        const wait = published.wait(key, now)
        if (wait > 0) {
          return over(
            "publish_rate",
            429,
            `${name} publishes more than ${config.publishRate} events a second`,
            seconds(wait)
          )
        }
        if (count > 0) published.take(key, now, count)
        return Exit.void
      }
    }
  }
)

const make = Effect.gen(function* () {
  const { trustedProxies } = yield* StatusSyncConfig.StatusSyncConfig
  const proxies = IpAddress.networkList(trustedProxies)
  const worker = yield* Primary.Primary
  const { acquire, takePublishes } = worker === undefined ? yield* counts : SharedLimits.remote(worker.link)
  return Limits.of({
    clientAddress: (peer, forwardedFor) => ClientAddress.of(peer, forwardedFor, proxies),
    acquire,
    takePublishes: (principal, address, count) => {
      // Where all clients are the same principal, each address counts as one.
      const key =
        principal === anonymous
          ? `@${IpAddress.network(address)}`
          : // Equal names of different tenants are different publishers.
            Tenant.scoped([...(principal.tenants ?? [Tenant.DEFAULT])].sort().join(), principal.name)
      return takePublishes(key, principal.name, count)
    }
  })
})

/** The limits of the settings.
 * @since 0.1.0
 * @category layers */
export const layer: Layer.Layer<Limits, never, StatusSyncConfig.StatusSyncConfig> = Layer.effect(Limits, make)
