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
import * as Tenant from "../Tenant.js"

/** Whose status it is that holds. */
export interface Holder {
  readonly tenant: string
  readonly agentId: string
}

/** The key of an agent's status. */
export const agentKey = (agentId: string, tenant: string = Tenant.DEFAULT): string =>
  Tenant.scoped(tenant, `agent:${agentId}`)

/** The lease of an agent that has one. */
export interface HeldLease extends HeapEntry, Lease {
  readonly holder: Holder
  /** The key of its status. */
  readonly key: string
}

class Held implements HeldLease {
  place = -1
  at: number
  /** When it ends unless it is renewed; never before `at`. */
  end: number

  constructor(
    readonly key: string,
    readonly holder: Holder,
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
  private readonly byKey = new Map<string, Held>()
  private readonly heap = new Heap<Held>()

  get size(): number {
    return this.byKey.size
  }

  /** Begins the lease of the status that has this key, in place of the one that the agent had. */
  start(key: string, holder: Holder, { endCommands, millis }: Lease, now: number): void {
    this.stop(key)
    const lease = new Held(key, holder, millis, endCommands, now)
    this.byKey.set(key, lease)
    this.heap.add(lease)
  }

  /** The lease runs its full length again. `false`: the agent has none. */
  renew(key: string, now: number): boolean {
    const lease = this.byKey.get(key)
    if (lease === undefined) return false
    lease.end = now + lease.millis
    return true
  }

  /** Ends a lease without a word. */
  stop(key: string): void {
    const lease = this.byKey.get(key)
    if (lease === undefined) return
    this.byKey.delete(key)
    this.heap.remove(lease)
  }

  /** Every lease runs its full length once more. */
  restart(now: number): void {
    for (const lease of [...this.byKey.values()]) this.start(lease.key, lease.holder, lease, now)
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
  tenant: string,
  event:
    | { readonly eventType: typeof AGENT_STATUS_UPDATE; readonly payload: AgentStatusPayload }
    | { readonly eventType: typeof COMMAND_STATUS_UPDATE; readonly payload: CommandStatusPayload },
  stamp: Stamp
): Draft => {
  const commandId = event.eventType === COMMAND_STATUS_UPDATE ? event.payload.commandId : undefined
  const key = eventKey(event)
  return {
    tenant,
    eventType: event.eventType,
    agentId: event.payload.agentId,
    commandId,
    key: key && Tenant.scoped(tenant, key),
    own: undefined,
    removes: [],
    status: event.eventType === COMMAND_STATUS_UPDATE ? event.payload.commandStatus : event.payload.status,
    finished: commandId !== undefined,
    lease: undefined,
    stamp,
    json: jsonOf(event.eventType, JSON.stringify(event.payload), stamp)
  }
}

/** What is said of an agent that did not renew its lease. */
export const offlineOf = ({ agentId, tenant }: Holder, stamp: Stamp): Draft =>
  draft(
    tenant,
    { eventType: AGENT_STATUS_UPDATE, payload: { agentId, status: "offline", reason: LEASE_EXPIRED } },
    stamp
  )

/** What is said of a command that such an agent was running. */
export const failedOf = (commandId: string, { agentId, tenant }: Holder, stamp: Stamp): Draft =>
  draft(
    tenant,
    {
      eventType: COMMAND_STATUS_UPDATE,
      payload: { commandId, agentId, commandStatus: "failed", error: LEASE_EXPIRED }
    },
    stamp
  )
