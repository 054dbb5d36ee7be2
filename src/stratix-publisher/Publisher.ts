/**
 * Tells a gateway what the agents of this process are doing, and keeps it true: over lost connections, restarted gateways and this process's own end.
 * No dependencies; for Node and browsers.
 *
 * @since 0.1.0
 */

import {
  AGENT_CREATE,
  AGENT_REMOVE,
  AGENT_STATUS_UPDATE,
  COMMAND_REMOVE,
  COMMAND_STATUS_UPDATE,
  KEY_REMOVE
} from "../stratix-core/event-types.js"
import type { CommandStatus } from "../stratix-core/events.js"
import { Delivery } from "./Delivery.js"
import { platform } from "./Environment.js"
import { Outbox } from "./Outbox.js"
import type { AgentOptions, DeclaredEvent, PublishedAgent, Publisher, PublisherOptions } from "./PublisherApi.js"

export type { Environment, PublishRequest, PublishResponse } from "./Environment.js"
export type {
  AgentOptions,
  CommandDetails,
  DeclaredEvent,
  PublishedAgent,
  Publisher,
  PublisherOptions,
  PublisherProblem
} from "./PublisherApi.js"

/** Long enough to ride out a busy moment, short enough for an eye on a screen. */
const DEFAULT_LEASE = 30_000

/** Renewals in one lease: two may be late or fail before it expires. */
const RENEWALS = 3

/** Tries in one lease while the gateway does not answer: it may be back for its last moments only. */
const RETRIES = 30

/** Leases renewed in one request: as many as a gateway takes. */
const RENEWED_AT_ONCE = 1000

/** States that wait while the gateway is away: with 300 characters each, 3 MB. */
const DEFAULT_PENDING = 10_000

/** Time for the last words. */
const CLOSING_TIME = 5000

/** An agent that is alive. */
interface Living {
  readonly leaseMs: number
  /** Those that are not finished. */
  readonly commands: Map<string, CommandStatus>
  readonly close: () => void
  /** Whether its status has a lease to renew. */
  leased: boolean
}

/**
 * A publisher. It sends from the first word on.
 *
 * @example
 * ```ts
 * import { createPublisher } from "stratix-status-sync/publisher"
 *
 * const publisher = createPublisher({ url: "http://127.0.0.1:3001" })
 * const scout = publisher.agent("agent-001", { name: "Scout", type: "researcher" })
 * scout.command("cmd-001", "running", { progress: 40 })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const createPublisher = (options: PublisherOptions): Publisher => {
  const { environment = platform, leaseMs = DEFAULT_LEASE, maxPending = DEFAULT_PENDING, token } = options
  const outbox = new Outbox(maxPending)
  // What is so now, by key: what a gateway is told that knows nothing. Bound: maxPending; the oldest are left out.
  const states = new Map<string, string>()
  const living = new Map<string, Living>()
  let epoch: string | undefined
  let cancelRenewal: (() => void) | undefined
  let shortestLease = 0
  let closed = false

  const onProblem: NonNullable<PublisherOptions["onProblem"]> = (problem) => options.onProblem?.(problem)

  const restate = (key: string) => {
    const json = states.get(key)
    if (json !== undefined && !outbox.has(key) && !delivery.isSending(key)) outbox.add({ key, json })
  }

  /** A gateway that has forgotten everything is told everything but what it was told just now. */
  const onEpoch = (answered: string | undefined, told: ReadonlySet<string>) => {
    const isAnother = epoch !== undefined && answered !== undefined && answered !== epoch
    epoch = answered ?? epoch
    if (!isAnother) return
    for (const key of states.keys()) if (!told.has(key)) restate(key)
    delivery.wake()
  }

  const delivery = new Delivery({
    url: options.url.replace(/^ws/, "http").replace(/\/+$/, ""),
    query: options.tenant === undefined ? "" : `?tenant=${encodeURIComponent(options.tenant)}`,
    token: typeof token === "string" ? () => token : token,
    environment,
    outbox,
    onAccepted: ({ epoch: answered }, keys) => onEpoch(answered, keys),
    onProblem
  })

  const say = (key: string | undefined, event: object): string | undefined => {
    if (closed) return undefined
    let json: string
    try {
      json = JSON.stringify(event)
    } catch (error) {
      onProblem({ _tag: "Refused", event: String(key), message: String(error) })
      return undefined
    }
    outbox.add({ key, json })
    delivery.wake()
    return json
  }

  /** Says what is so until something else is said. */
  const state = (key: string, event: object) => {
    const json = say(key, event)
    if (json === undefined) return
    states.delete(key)
    states.set(key, json)
    for (const oldest of states.keys()) {
      if (states.size <= maxPending) break
      states.delete(oldest)
    }
  }

  /** Removed by someone else, or expired while this process or the network stood still: it lives all the same, and its commands with it. */
  const revive = (agentId: string) => {
    const agent = living.get(agentId)
    if (agent?.leased !== true) return
    restate(`agent-info:${agentId}`)
    restate(`agent:${agentId}`)
    for (const commandId of agent.commands.keys()) restate(`command:${commandId}`)
  }

  /** Whether the gateway has heard of it. */
  const renew = async (): Promise<boolean> => {
    const agents = [...living].flatMap(([agentId, { leased }]) => {
      const key = `agent:${agentId}`
      return leased && !outbox.has(key) && !delivery.isSending(key) ? [agentId] : []
    })
    for (let i = 0; i < agents.length; i += RENEWED_AT_ONCE) {
      const some = agents.slice(i, i + RENEWED_AT_ONCE)
      const outcome = await delivery.post("/api/stratix/leases", JSON.stringify({ agents: some }), some.length)
      const { answer, message } = outcome
      if (closed) return true
      if (answer?._tag !== "Accepted") {
        delivery.report(answer, message)
        return false
      }
      onEpoch(answer.epoch, new Set())
      for (const agentId of answer.missing) revive(agentId)
      delivery.wake()
    }
    return true
  }

  /** Renews all leases before this one is in danger, and again as long as there are any. */
  const keep = (lease: number, within = lease / RENEWALS) => {
    if (closed || (cancelRenewal !== undefined && lease >= shortestLease)) return
    cancelRenewal?.()
    shortestLease = lease
    const next = (renewed: boolean) => {
      cancelRenewal = undefined
      const leases = [...living.values()].flatMap((agent) => (agent.leased ? agent.leaseMs : []))
      if (leases.length === 0) return
      const shortest = leases.reduce((shorter, each) => Math.min(shorter, each))
      keep(shortest, shortest / (renewed ? RENEWALS : RETRIES))
    }
    cancelRenewal = environment.setTimer(() => void renew().then(next), within, false)
  }

  const agent = (agentId: string, given: AgentOptions = {}): PublishedAgent => {
    const { endCommands = true, extra: about, name, status: first = "online", type } = given
    const isGone = () => living.get(agentId) !== own
    const forget = () => {
      living.delete(agentId)
      states.delete(`agent:${agentId}`)
      states.delete(`agent-info:${agentId}`)
      for (const commandId of own.commands.keys()) states.delete(`command:${commandId}`)
    }
    const close = () => {
      if (isGone()) return
      for (const [commandId, commandStatus] of own.commands) {
        // As when its lease expires.
        if (endCommands && commandStatus === "running")
          say(`command:${commandId}`, {
            eventType: COMMAND_STATUS_UPDATE,
            payload: { commandId, agentId, commandStatus: "failed", error: "agent closed" }
          })
      }
      if (own.leased) status("offline")
      forget()
    }
    const status: PublishedAgent["status"] = (next, { extra, reason } = {}) => {
      if (isGone()) return
      own.leased = next !== "offline"
      state(`agent:${agentId}`, {
        eventType: AGENT_STATUS_UPDATE,
        payload: { agentId, status: next, reason },
        extra,
        ...(own.leased && { leaseMs: own.leaseMs, endCommands })
      })
      if (own.leased) keep(own.leaseMs)
    }

    const own: Living = { leaseMs: given.leaseMs ?? leaseMs, commands: new Map(), leased: false, close }
    living.set(agentId, own)

    if (name !== undefined && type !== undefined)
      state(`agent-info:${agentId}`, { eventType: AGENT_CREATE, payload: { agentId, name, type }, extra: about })
    status(first)

    return {
      agentId,
      status,
      command: (commandId, commandStatus, { error, extra, progress, result } = {}) => {
        if (isGone()) return
        const key = `command:${commandId}`
        state(key, {
          eventType: COMMAND_STATUS_UPDATE,
          payload: { commandId, agentId, commandStatus, progress, result, error },
          extra
        })
        if (commandStatus !== "success" && commandStatus !== "failed") {
          own.commands.set(commandId, commandStatus)
          return
        }
        own.commands.delete(commandId)
        states.delete(key)
      },
      close: own.close,
      remove: () => {
        if (isGone()) return
        for (const commandId of own.commands.keys()) {
          outbox.delete(`command:${commandId}`)
          say(`command-remove:${commandId}`, { eventType: COMMAND_REMOVE, payload: { commandId, agentId } })
        }
        outbox.delete(`agent-info:${agentId}`)
        outbox.delete(`agent:${agentId}`)
        say(`agent-remove:${agentId}`, { eventType: AGENT_REMOVE, payload: { agentId } })
        forget()
      }
    }
  }

  const publish = (
    event: string | DeclaredEvent,
    payload: object,
    given: { readonly key?: string | undefined } = {}
  ) => {
    if (typeof event === "string") return void say(undefined, { eventType: event, payload })
    const { eventType } = event
    const read = event.read?.(payload)
    if (read?._tag === "Left") return onProblem({ _tag: "Refused", event: eventType, message: String(read.left) })
    const { finished, key } = read?.right ?? { finished: false, key: given.key }
    if (key === undefined) return void say(undefined, { eventType, payload })
    const name = `${eventType}/${key}`
    state(name, { eventType, payload })
    if (finished) states.delete(name)
  }

  const remove = ({ eventType }: DeclaredEvent, key: string) => {
    const name = `${eventType}/${key}`
    states.delete(name)
    outbox.delete(name)
    say(`remove:${name}`, { eventType: KEY_REMOVE, payload: { eventType, key } })
  }

  const flush = (timeoutMs = Number.POSITIVE_INFINITY) =>
    new Promise<boolean>((resolve) => {
      let cancelTimer = () => {}
      const cancelWait = delivery.onIdle(() => {
        cancelTimer()
        resolve(true)
      })
      if (timeoutMs === Number.POSITIVE_INFINITY || delivery.isIdle) return
      const onTimeout = () => {
        cancelWait()
        resolve(false)
      }
      cancelTimer = environment.setTimer(onTimeout, timeoutMs, true)
    })

  return {
    agent,
    publish,
    remove,
    pending: () => outbox.size + delivery.underWay,
    dropped: () => outbox.dropped,
    flush,
    close: async (timeoutMs = CLOSING_TIME) => {
      for (const agent of [...living.values()]) agent.close()
      cancelRenewal?.()
      const published = await flush(timeoutMs)
      closed = true
      delivery.stop()
      return published
    }
  }
}
