/** What became of an agent's commands: from the gateway's history, then live. */
import { isOfType, isWellFormed, parse } from "../stratix-client/Message.js"
import type { StatusClient } from "../stratix-client/StatusClient.js"
import * as Gateway from "./Gateway.js"
import type { CommandEvent } from "./Model.js"

/** Events kept of one agent; the oldest leave. A command of a dozen steps is a line of the panel, which shows a hundred. */
const CAPACITY = 1000

/** Events asked of the history, the most it gives at once. */
const ASKED = 1000

/** One command of a timeline. */
export interface Course {
  readonly id: string
  readonly newest: CommandEvent
  /** When it was first heard of, in milliseconds since the Unix epoch. */
  readonly heardAt: number
  /** When it began to run; `undefined` where that was not heard. */
  readonly ranAt: number | undefined
  /** When it ended; `undefined` while it has not. */
  readonly endedAt: number | undefined
}

/** What is known of an agent's commands. */
export interface Timeline {
  /** When the history begins, in milliseconds since the Unix epoch; `undefined` where it has nothing, or was not asked yet. */
  readonly begins: number | undefined
  /** Why the history could not be had. */
  readonly problem: string
  /** The command that was heard of last comes first. */
  readonly courses: () => ReadonlyArray<Course>
}

/** The course of each command in these events, which are in order. */
export const coursesOf = (events: Iterable<CommandEvent>): ReadonlyArray<Course> => {
  const courses = new Map<string, Course>()
  for (const event of events) {
    const { commandId, commandStatus } = event.payload
    const before = courses.get(commandId)
    const hasEnded = commandStatus === "success" || commandStatus === "failed"
    courses.set(commandId, {
      id: commandId,
      newest: event,
      heardAt: before?.heardAt ?? event.timestamp,
      ranAt: before?.ranAt ?? (commandStatus === "running" ? event.timestamp : undefined),
      endedAt: hasEnded ? (before?.endedAt ?? event.timestamp) : undefined
    })
  }
  // In the order of the log, not of the clock: one request may publish several commands in one millisecond.
  return [...courses.values()].reverse()
}

const isCommandOf =
  (agentId: string) =>
  (event: Parameters<typeof isWellFormed>[0]): event is CommandEvent =>
    isOfType(event, "stratix:command_status_update") && isWellFormed(event) && event.payload.agentId === agentId

/** Follows the commands of an agent until it is ended; `changed` after each change. Where the history cannot be had, what is known of them now is the begin. */
export const follow = (
  client: StatusClient,
  agentId: string,
  token: string | undefined,
  changed: (timeline: Timeline) => void
): (() => void) => {
  const isOurs = isCommandOf(agentId)
  // By offset: what the history has may come live as well. Bound: CAPACITY.
  let events = new Map<string, CommandEvent>()
  let begins: number | undefined
  let problem = ""
  let isOver = false
  const add = (event: CommandEvent) => {
    events.set(event.offset ?? event.requestId, event)
    if (events.size > CAPACITY) events.delete(events.keys().next().value ?? "")
  }
  const tell = () => changed({ begins, problem, courses: () => coursesOf(events.values()) })
  // In the order of the log: the state has the newest event of each command.
  for (const event of client.state.commands.values()) if (isOurs(event)) add(event)
  tell()
  const off = client.onEvent((event) => {
    if (!isOurs(event)) return
    add(event)
    tell()
  })
  Gateway.history(token, agentId, ASKED).then(
    (history) => {
      if (isOver) return
      const live = events
      events = new Map()
      const before = history.events.flatMap((event) => parse(JSON.stringify(event)) ?? []).filter(isOurs)
      begins = history.more === true ? before[0]?.timestamp : history.begins?.timestamp
      const known = new Set(before.map(({ offset }) => offset))
      // Commands that were over before the history begins are still in the state, and come first.
      for (const event of live.values()) if (!known.has(event.offset) && event.timestamp < (begins ?? 0)) add(event)
      for (const event of before) add(event)
      for (const event of live.values()) if (!known.has(event.offset) && event.timestamp >= (begins ?? 0)) add(event)
      tell()
    },
    (error) => {
      if (isOver) return
      problem = error instanceof Error ? error.message : String(error)
      tell()
    }
  )
  return () => {
    isOver = true
    off()
  }
}
