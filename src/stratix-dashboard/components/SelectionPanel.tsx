/** Several agents that are selected together. */
import * as Format from "../format.js"
import { type Agent, agentStatuses } from "../Model.js"
import type { Strings } from "../strings.js"
import { Mark } from "./Field.js"

/** Rows shown at a time: more than a person reads, and few enough for a frame. */
const MAX_ROWS = 200

/** The panel of a selection: how many are in which status, and each of them. */
export const SelectionPanel = (props: {
  readonly agents: ReadonlyArray<Agent>
  readonly now: number
  readonly strings: Strings
  readonly onSelect: (id: string) => void
  readonly onClose: () => void
}) => {
  const { agents, now, onClose, onSelect, strings } = props
  const title = strings.selected(agents.length)
  return (
    <section class="panel" aria-label={title}>
      <header>
        <h2>{title}</h2>
        <button type="button" onClick={onClose} aria-label={strings.close}>
          ×
        </button>
      </header>
      <p class="more">
        {agentStatuses
          .map((status) => [status, agents.filter((agent) => agent.status === status).length] as const)
          .filter(([, count]) => count > 0)
          .map(([status, count]) => `${strings[status]} ${count}`)
          .join(" · ")}
      </p>
      <ul class="rows">
        {agents.slice(0, MAX_ROWS).map((agent) => (
          <li key={agent.id}>
            <button type="button" onClick={() => onSelect(agent.id)}>
              <Mark status={agent.status} /> <strong>{agent.name}</strong> {strings[agent.status]}
              {agent.progress === undefined ? "" : ` · ${Math.round(agent.progress)} %`}
            </button>
            <time>{Format.duration(now - agent.since)}</time>
          </li>
        ))}
      </ul>
      {agents.length > MAX_ROWS && <p class="more">{strings.shown(MAX_ROWS, agents.length)}</p>}
    </section>
  )
}
