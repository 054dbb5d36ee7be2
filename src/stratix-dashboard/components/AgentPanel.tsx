/** One agent: its commands as a timeline, with everything that is known of them. */
import { useEffect, useState } from "preact/hooks"
import type { StatusClient } from "../../stratix-client/StatusClient.js"
import * as Format from "../format.js"
import type { Agent, CommandEvent } from "../Model.js"
import type { Strings } from "../strings.js"
import { type Course, coursesOf, follow, type Timeline } from "../Timeline.js"
import { Mark } from "./Field.js"

/** Commands shown for one agent, newest first: more than a person reads. */
const MAX_COMMANDS = 100

/** Where a course lies between two moments, in percent. */
const barOf = ({ endedAt, heardAt, ranAt }: Course, from: number, now: number) => {
  const part = (moment: number) => (100 * Math.max(0, moment - from)) / Math.max(1, now - from)
  const left = part(ranAt ?? heardAt)
  return { left: `${left}%`, width: `${Math.max(1, part(endedAt ?? now) - left)}%` }
}

const CommandCard = (props: {
  readonly course: Course
  readonly from: number
  readonly now: number
  readonly strings: Strings
}) => {
  const { course, from, now, strings } = props
  const event = course.newest
  const { commandId, commandStatus, error, progress, result } = event.payload
  const took = course.ranAt === undefined ? undefined : (course.endedAt ?? now) - course.ranAt
  return (
    <li class={`command ${commandStatus}`}>
      <header>
        <strong>{commandId}</strong>
        <span>{strings[commandStatus]}</span>
        {took !== undefined && (
          <span>
            {strings.duration} {Format.duration(took)}
          </span>
        )}
        <time dateTime={new Date(event.timestamp).toISOString()}>
          {Format.time(event.timestamp)} · {Format.duration(now - event.timestamp)}
        </time>
      </header>
      {commandStatus !== "pending" && (
        <div class="lane" aria-hidden="true">
          <div style={barOf(course, from, now)} />
        </div>
      )}
      {commandStatus === "running" && progress !== undefined && (
        <progress max={100} value={progress} aria-label={`${strings.progress}: ${commandId}`}>
          {progress} %
        </progress>
      )}
      {error !== undefined && <p class="failure">{error}</p>}
      {result !== undefined && (
        <pre>
          {strings.result}: {Format.json(result)}
        </pre>
      )}
      <details>
        <summary>
          {strings.requestId} {event.requestId}
        </summary>
        <pre>{Format.json(event)}</pre>
      </details>
    </li>
  )
}

/** The panel of the agent that is selected; of a recording, where there is no `client`, with what was known of its commands at that moment. */
export const AgentPanel = (props: {
  readonly agent: Agent
  /** Its own, newest first. */
  readonly commands: ReadonlyArray<CommandEvent>
  readonly client: StatusClient | undefined
  readonly token: string | undefined
  readonly now: number
  readonly strings: Strings
  readonly onClose: () => void
}) => {
  const { agent, client, commands, now, onClose, strings, token } = props
  const [timeline, setTimeline] = useState<Timeline>()
  useEffect(() => {
    setTimeline(undefined)
    return client === undefined ? undefined : follow(client, agent.id, token, setTimeline)
  }, [client, agent.id, token])
  const courses = (timeline?.courses() ?? coursesOf([...commands].reverse())).slice(0, MAX_COMMANDS)
  const from = Math.min(now, ...courses.map(({ heardAt }) => heardAt))
  return (
    <section class="panel" aria-label={agent.name}>
      <header>
        <h2>
          <Mark status={agent.status} /> {agent.name}
        </h2>
        <button type="button" onClick={onClose} aria-label={strings.close}>
          ×
        </button>
      </header>
      <p class="more">
        {agent.id}
        {agent.type === "" ? "" : ` · ${agent.type}`} · {strings[agent.status]} · {Format.duration(now - agent.since)}
      </p>
      {courses.length === 0 ? (
        <p>{strings.noCommands}</p>
      ) : (
        <ol class="commands">
          {courses.map((course) => (
            <CommandCard key={course.id} course={course} from={from} now={now} strings={strings} />
          ))}
        </ol>
      )}
      {timeline?.begins !== undefined && <p class="more">{strings.historyBegins(Format.moment(timeline.begins))}</p>}
      {timeline !== undefined && timeline.problem !== "" && <p class="failure">{timeline.problem}</p>}
    </section>
  )
}
