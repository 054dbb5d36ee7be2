/**
 * How long each agent's status holds without being renewed, and what is said of an agent whose lease ran out.
 *
 * A heap of moments that may be too early: a renewal only moves the true end, O(1), and the heap learns of it when the earlier moment comes.
 */
import {
  AGENT_STATUS_UPDATE,
  type AgentStatusPayload,
  COMMAND_STATUS_UPDATE,
  type CommandStatusPayload,
  eventKey
} from "../../../stratix-core/stratix-protocol.js"
import { Heap, type HeapEntry } from "../../runtime/Heap.js"
import { type Draft, jsonOf, type Lease } from "../EventLog.js"
import type { Stamp } from "../Stamps.js"

/** The lease of an agent that has one. */
export interface HeldLease extends HeapEntry, Lease {
  readonly agentId: string
}

class Held implements HeldLease {
  place = -1
  at: number
  /** When it ends unless it is renewed; never before `at`. */
  end: number

  constructor(
    readonly agentId: string,
    public millis: number,
    public endCommands: boolean,
    now: number
  ) {
    this.end = now + millis
    this.at = this.end
  }
}

/** The leases of a mirror. Bound: an agent has one only while `latest` has its status. */
export class Leases {
  private readonly byAgent = new Map<string, Held>()
  private readonly heap = new Heap<Held>()

  get size(): number {
    return this.byAgent.size
  }

  /** Begins a lease, in place of the one that the agent had. */
  start(agentId: string, { endCommands, millis }: Lease, now: number): void {
    this.stop(agentId)
    const lease = new Held(agentId, millis, endCommands, now)
    this.byAgent.set(agentId, lease)
    this.heap.add(lease)
  }

  /** The lease runs its full length again. `false`: the agent has none. */
  renew(agentId: string, now: number): boolean {
    const lease = this.byAgent.get(agentId)
    if (lease === undefined) return false
    lease.end = now + lease.millis
    return true
  }

  /** Ends a lease without a word. */
  stop(agentId: string): void {
    const lease = this.byAgent.get(agentId)
    if (lease === undefined) return
    this.byAgent.delete(agentId)
    this.heap.remove(lease)
  }

  /** Every lease runs its full length once more. */
  restart(now: number): void {
    for (const lease of [...this.byAgent.values()]) this.start(lease.agentId, lease, now)
  }

  /** A lease that has run out. It stays until it is stopped. */
  lapsed(now: number): HeldLease | undefined {
    for (let lease = this.heap.nearest(); lease !== undefined && lease.at <= now; lease = this.heap.nearest()) {
      if (lease.end <= now) return lease
      this.heap.remove(lease)
      lease.at = lease.end
      this.heap.add(lease)
    }
    return undefined
  }

  /** When to look for one again, at the latest. */
  nearest(): number {
    const lease = this.heap.nearest()
    return lease === undefined ? Number.POSITIVE_INFINITY : lease.at
  }
}

/** Why an agent went offline, or a command failed, that a lease ended. */
export const LEASE_EXPIRED = "lease expired"

const draft = (
  event:
    | { readonly eventType: typeof AGENT_STATUS_UPDATE; readonly payload: AgentStatusPayload }
    | { readonly eventType: typeof COMMAND_STATUS_UPDATE; readonly payload: CommandStatusPayload },
  stamp: Stamp
): Draft => {
  const commandId = event.eventType === COMMAND_STATUS_UPDATE ? event.payload.commandId : undefined
  return {
    eventType: event.eventType,
    agentId: event.payload.agentId,
    commandId,
    key: eventKey(event),
    removes: [],
    status: event.eventType === COMMAND_STATUS_UPDATE ? event.payload.commandStatus : event.payload.status,
    finished: commandId !== undefined,
    lease: undefined,
    stamp,
    json: jsonOf(event.eventType, JSON.stringify(event.payload), stamp)
  }
}

/** What is said of an agent that did not renew its lease. */
export const offlineOf = (agentId: string, stamp: Stamp): Draft =>
  draft({ eventType: AGENT_STATUS_UPDATE, payload: { agentId, status: "offline", reason: LEASE_EXPIRED } }, stamp)

/** What is said of a command that such an agent was running. */
export const failedOf = (commandId: string, agentId: string, stamp: Stamp): Draft =>
  draft(
    {
      eventType: COMMAND_STATUS_UPDATE,
      payload: { commandId, agentId, commandStatus: "failed", error: LEASE_EXPIRED }
    },
    stamp
  )
