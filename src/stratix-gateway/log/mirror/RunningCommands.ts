/**
 * Which commands each agent is running now.
 */
import type { Draft } from "../EventLog.js"

/** Running commands by agent. Bound: the commands of `latest`. */
export class RunningCommands {
  private readonly byAgent = new Map<string, Set<string>>()

  add({ agentId, commandId, status }: Draft): void {
    if (status !== "running" || agentId === undefined || commandId === undefined) return
    const commands = this.byAgent.get(agentId)
    if (commands === undefined) this.byAgent.set(agentId, new Set([commandId]))
    else commands.add(commandId)
  }

  remove({ agentId, commandId, status }: Draft): void {
    if (status !== "running" || agentId === undefined || commandId === undefined) return
    const commands = this.byAgent.get(agentId)
    if (commands === undefined) return
    commands.delete(commandId)
    if (commands.size === 0) this.byAgent.delete(agentId)
  }

  /** One of them, the one that began first first. */
  firstOf(agentId: string): string | undefined {
    const [first] = this.byAgent.get(agentId) ?? []
    return first
  }
}
