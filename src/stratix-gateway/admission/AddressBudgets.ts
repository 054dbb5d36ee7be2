/**
 * What each address has left: connections, handshakes, and the good name of one that was let in lately.
 */
import * as Duration from "effect/Duration"
import { KeyedTokenBuckets, TokenBucket } from "./TokenBucket.js"

/** So long after its last connection an address is still known: dashboards come back within seconds, and laptops after a meeting. */
const KNOWN_FOR = Duration.toMillis("10 minutes")

/** Addresses known without a connection. Above it the one that left first is forgotten. */
const MAX_KNOWN = 10_000

/** Handshakes that one refused for the client's own fault counts as: a client with a good token has none. */
const REFUSED_COSTS = 10

interface Held {
  /** Handshakes under way and connections. */
  permits: number
  /** Handshakes under way. */
  underWay: number
  admitted: number
}

export interface Rules {
  /** Handshakes of one address a second, and for how many seconds at once; 0: no limit. */
  readonly rate: number
  readonly seconds: number
}

export class AddressBudgets {
  // Bound: maxConnections, because an address is in it only while it holds a permit.
  private readonly held = new Map<string, Held>()
  // Bound: MAX_KNOWN.
  private readonly knownUntil = new Map<string, number>()
  private readonly handshakes: KeyedTokenBuckets

  constructor({ rate, seconds }: Rules) {
    this.handshakes = new KeyedTokenBuckets(new TokenBucket(rate, seconds))
  }

  permits(address: string): number {
    return this.held.get(address)?.permits ?? 0
  }

  underWay(address: string): number {
    return this.held.get(address)?.underWay ?? 0
  }

  /** Whether it has a connection, or had one lately. */
  isKnown(address: string, now: number): boolean {
    return (this.held.get(address)?.admitted ?? 0) > 0 || (this.knownUntil.get(address) ?? 0) > now
  }

  /** Whether any address is: else there is none to keep something for. */
  knowsAny(): boolean {
    return this.knownUntil.size > 0
  }

  /** Milliseconds until it may begin another handshake. */
  wait(address: string, now: number): number {
    return this.handshakes.wait(address, now)
  }

  begin(address: string, now: number): void {
    this.handshakes.take(address, now, 1)
    const held = this.held.get(address) ?? { permits: 0, underWay: 0, admitted: 0 }
    held.permits++
    held.underWay++
    this.held.set(address, held)
  }

  handshakeDone(address: string): void {
    const held = this.held.get(address)
    if (held !== undefined) held.underWay--
  }

  admit(address: string, now: number): void {
    const held = this.held.get(address)
    if (held !== undefined) held.admitted++
    this.know(address, now)
  }

  refuse(address: string, now: number): void {
    this.handshakes.take(address, now, REFUSED_COSTS - 1)
  }

  release(address: string, wasAdmitted: boolean, now: number): void {
    const held = this.held.get(address)
    if (held === undefined) return
    if (wasAdmitted) {
      held.admitted--
      this.know(address, now)
    }
    if (--held.permits === 0) this.held.delete(address)
  }

  private know(address: string, now: number): void {
    this.knownUntil.delete(address)
    this.knownUntil.set(address, now + KNOWN_FOR)
    if (this.knownUntil.size <= MAX_KNOWN) return
    for (const oldest of this.knownUntil.keys()) {
      this.knownUntil.delete(oldest)
      return
    }
  }
}
