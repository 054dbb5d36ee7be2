/**
 * Which commands each agent is running now.
 */
import type { Draft } from "../EventLog.js"
import { agentKey } from "./Leases.js"

/** Running commands by the key of their agent's status. Bound: the commands of `latest`. */
export class RunningCommands {
  private readonly byAgent = new Map<string, Set<string>>()

  add({ agentId, commandId, status, tenant }: Draft): void {
    if (status !== "running" || agentId === undefined || commandId === undefined) return
    const key = agentKey(agentId, tenant)
    const commands = this.byAgent.get(key)
    if (commands === undefined) this.byAgent.set(key, new Set([commandId]))
    else commands.add(commandId)
  }

  remove({ agentId, commandId, status, tenant }: Draft): void {
    if (status !== "running" || agentId === undefined || commandId === undefined) return
    const key = agentKey(agentId, tenant)
    const commands = this.byAgent.get(key)
    if (commands === undefined) return
    commands.delete(commandId)
    if (commands.size === 0) this.byAgent.delete(key)
  }

  /** One of them, the one that began first first. */
  firstOf(agent: string): string | undefined {
    const [first] = this.byAgent.get(agent) ?? []
    return first
  }
}
