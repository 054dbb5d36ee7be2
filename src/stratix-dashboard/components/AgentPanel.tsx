/** One agent: its commands as a timeline, with everything that is known of them. */

import * as Format from "../format.js"
import type { Agent, CommandEvent } from "../Model.js"
import type { Strings } from "../strings.js"
import { Mark } from "./Field.js"

/** Commands shown for one agent, newest first: more than a person reads. */
const MAX_COMMANDS = 100

const CommandCard = (props: { readonly event: CommandEvent; readonly now: number; readonly strings: Strings }) => {
  const { event, now, strings } = props
  const { commandId, commandStatus, error, progress, result } = event.payload
  return (
    <li class={`command ${commandStatus}`}>
      <header>
        <strong>{commandId}</strong>
        <span>{strings[commandStatus]}</span>
        <time dateTime={new Date(event.timestamp).toISOString()}>
          {Format.time(event.timestamp)} · {Format.duration(now - event.timestamp)}
        </time>
      </header>
      {progress !== undefined && (
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

/** The panel of the agent that is selected. */
export const AgentPanel = (props: {
  readonly agent: Agent
  /** Its own, newest first. */
  readonly commands: ReadonlyArray<CommandEvent>
  readonly now: number
  readonly strings: Strings
  readonly onClose: () => void
}) => {
  const { agent, commands, now, onClose, strings } = props
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
      {commands.length === 0 ? (
        <p>{strings.noCommands}</p>
      ) : (
        <ol class="commands">
          {commands.slice(0, MAX_COMMANDS).map((event) => (
            <CommandCard key={event.payload.commandId} event={event} now={now} strings={strings} />
          ))}
        </ol>
      )}
    </section>
  )
}
