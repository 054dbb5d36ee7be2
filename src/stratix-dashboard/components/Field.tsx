/** The agents: a tile for each, by type; beyond some hundred a heat map. */
import { useMemo, useRef } from "preact/hooks"
import * as Format from "../format.js"
import type { Agent, AgentStatus } from "../Model.js"
import type { Strings } from "../strings.js"
import { HeatMap } from "./HeatMap.js"
import { type Box, overlap, SelectionBox } from "./SelectionBox.js"

/** Tiles a browser lays out anew within a frame; above it a canvas is cheaper and easier to take in. */
const MAX_TILES = 300

/** A finished command flashes its tile for so long, in milliseconds; the animation in styles.css has the same length. */
const FLASH = 1500

/** A shape for each status, so that colour is never the only sign. */
const shapes: Readonly<Record<AgentStatus, string>> = { online: "●", busy: "◆", error: "▲", offline: "○" }

/** The mark of a status. */
export const Mark = ({ status }: { readonly status: AgentStatus }) => (
  <span class={`mark ${status}`} aria-hidden="true">
    {shapes[status]}
  </span>
)

/** Circumference of the ring's circle of radius 16. */
const ROUND = 2 * Math.PI * 16

const Ring = ({ progress }: { readonly progress: number | undefined }) => (
  <svg class={progress === undefined ? "ring unknown" : "ring"} viewBox="0 0 36 36" aria-hidden="true">
    <circle cx="18" cy="18" r="16" class="track" />
    <circle
      cx="18"
      cy="18"
      r="16"
      class="done"
      stroke-dasharray={`${((progress ?? 25) / 100) * ROUND} ${ROUND}`}
      transform="rotate(-90 18 18)"
    />
  </svg>
)

const Tile = (props: {
  readonly agent: Agent
  readonly now: number
  readonly isSelected: boolean
  readonly strings: Strings
  readonly onSelect: (id: string, adds: boolean) => void
}) => {
  const { agent, isSelected, now, onSelect, strings } = props
  const { finished } = agent
  const flashes = finished !== undefined && now - finished.timestamp < FLASH
  const flash = flashes ? (finished.payload.commandStatus === "success" ? "flash" : "shake") : ""
  return (
    <button
      type="button"
      class={`tile ${agent.status} ${flash}`}
      data-agent={agent.id}
      aria-pressed={isSelected}
      onClick={(event) => onSelect(agent.id, event.shiftKey || event.ctrlKey || event.metaKey)}
    >
      <span class="sign">
        {agent.isRunning && <Ring progress={agent.progress} />}
        <Mark status={agent.status} />
      </span>
      <span class="name">{agent.name}</span>{" "}
      <span class="more">
        {strings[agent.status]} · {Format.duration(now - agent.since)}
        {agent.progress !== undefined && (
          <span class="unseen">
            {" "}
            {strings.progress} {Math.round(agent.progress)} %
          </span>
        )}
      </span>
    </button>
  )
}

/** Ids of the tiles that a box touches. */
const tilesIn = (field: HTMLElement, box: Box): ReadonlyArray<string> =>
  [...field.querySelectorAll<HTMLElement>("[data-agent]")].flatMap((tile) =>
    overlap(tile.getBoundingClientRect(), box) ? (tile.dataset["agent"] ?? []) : []
  )

/** The agents that are shown. */
export const Field = (props: {
  readonly agents: ReadonlyArray<Agent>
  readonly now: number
  readonly selected: ReadonlySet<string>
  readonly strings: Strings
  readonly onSelect: (id: string, adds: boolean) => void
  readonly onSelectAll: (ids: ReadonlyArray<string>, adds: boolean) => void
}) => {
  const { agents, now, onSelect, onSelectAll, selected, strings } = props
  const field = useRef<HTMLDivElement>(null)
  const groups = useMemo(() => {
    const byType = new Map<string, Array<Agent>>()
    for (const agent of agents) {
      const group = byType.get(agent.type)
      if (group === undefined) byType.set(agent.type, [agent])
      else group.push(agent)
    }
    return [...byType]
  }, [agents])
  if (agents.length > MAX_TILES) {
    return (
      <HeatMap agents={agents} selected={selected} strings={strings} onSelect={onSelect} onSelectAll={onSelectAll} />
    )
  }
  return (
    <SelectionBox
      onBox={(box, adds) => {
        if (field.current !== null) onSelectAll(tilesIn(field.current, box), adds)
      }}
    >
      <div class="field" ref={field}>
        {groups.map(([type, members]) => (
          <section key={type}>
            <h2>
              {type === "" ? strings.noType : type} <small>{members.length}</small>
            </h2>
            <div class="tiles">
              {members.map((agent) => (
                <Tile
                  key={agent.id}
                  agent={agent}
                  now={now}
                  isSelected={selected.has(agent.id)}
                  strings={strings}
                  onSelect={onSelect}
                />
              ))}
            </div>
          </section>
        ))}
      </div>
    </SelectionBox>
  )
}
