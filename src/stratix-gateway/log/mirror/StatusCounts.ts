/**
 * How many agents and commands have each status.
 */
import { AGENT_STATUS_UPDATE, COMMAND_STATUS_UPDATE } from "../../../stratix-core/stratix-protocol.js"
import type { Draft } from "../EventLog.js"

/** Counts of the newest events, by status. */
export class StatusCounts {
  readonly agents = new Map<string, number>()
  readonly commands = new Map<string, number>()

  add(event: Draft): void {
    this.change(event, 1)
  }

  remove(event: Draft): void {
    this.change(event, -1)
  }

  private change({ eventType, key, status }: Draft, by: number): void {
    if (key === undefined || status === undefined) return
    const counts =
      eventType === AGENT_STATUS_UPDATE ? this.agents : eventType === COMMAND_STATUS_UPDATE ? this.commands : undefined
    counts?.set(status, (counts.get(status) ?? 0) + by)
  }
}
