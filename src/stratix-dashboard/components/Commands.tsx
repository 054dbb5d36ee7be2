/** All commands, by status. */
import * as Format from "../format.js"
import { type CommandEvent, commandStatuses } from "../Model.js"
import type { Strings } from "../strings.js"

/** Rows shown at a time: more than a person reads, and few enough for a frame. */
const MAX_ROWS = 200

/** The commands of the page, in tabs. */
export const Commands = (props: {
  readonly commands: ReadonlyArray<CommandEvent>
  readonly counts: Readonly<Record<string, number>>
  readonly status: string
  readonly now: number
  readonly strings: Strings
  readonly onStatus: (status: string) => void
  readonly onSelect: (agentId: string) => void
}) => {
  const { commands, counts, now, onSelect, onStatus, status, strings } = props
  const shown = status === "" ? commands : commands.filter(({ payload }) => payload.commandStatus === status)
  return (
    <>
      <fieldset class="chips">
        <legend class="unseen">{strings.commands}</legend>
        <button type="button" aria-pressed={status === ""} onClick={() => onStatus("")}>
          {strings.all} <b>{commands.length}</b>
        </button>
        {commandStatuses.map((name) => (
          <button key={name} type="button" class={name} aria-pressed={status === name} onClick={() => onStatus(name)}>
            {strings[name]} <b>{counts[name]}</b>
          </button>
        ))}
      </fieldset>
      <ul class="rows">
        {shown.slice(0, MAX_ROWS).map((event) => (
          <li key={event.payload.commandId} class={event.payload.commandStatus}>
            <button type="button" onClick={() => onSelect(event.payload.agentId)}>
              <strong>{event.payload.commandId}</strong> {event.payload.agentId} ·{" "}
              {strings[event.payload.commandStatus]}
              {event.payload.progress === undefined ? "" : ` ${Math.round(event.payload.progress)} %`}
              {event.payload.error !== undefined && <span class="failure"> · {event.payload.error}</span>}
            </button>
            <time>{Format.duration(now - event.timestamp)}</time>
          </li>
        ))}
      </ul>
      {shown.length > MAX_ROWS && <p class="more">{strings.shown(MAX_ROWS, shown.length)}</p>}
    </>
  )
}
