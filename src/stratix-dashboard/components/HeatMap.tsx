/** Thousands of agents as squares on a canvas. */
import { useEffect, useRef } from "preact/hooks"
import type { Agent, AgentStatus } from "../Model.js"
import type { Strings } from "../strings.js"

/** Smallest and largest side of a square, in CSS pixels: still to be hit with a finger's patience, and not larger than a tile's sign. */
const SIDE = { min: 6, max: 28 }
const GAP = 1

interface Grid {
  readonly columns: number
  readonly cell: number
  readonly height: number
}

/** The largest squares with which all agents fit into the width at a height that a screen has. */
const gridOf = (count: number, width: number, height: number): Grid => {
  const side = Math.floor(Math.sqrt((width * height) / Math.max(1, count)))
  const cell = Math.min(SIDE.max, Math.max(SIDE.min, side))
  const columns = Math.max(1, Math.floor(width / cell))
  return { columns, cell, height: Math.ceil(count / columns) * cell }
}

const statuses: ReadonlyArray<AgentStatus> = ["online", "busy", "error", "offline"]

const draw = (canvas: HTMLCanvasElement, agents: ReadonlyArray<Agent>, selected: string): Grid => {
  const width = canvas.clientWidth
  const grid = gridOf(agents.length, width, window.innerHeight * 0.7)
  const scale = window.devicePixelRatio
  if (canvas.width !== width * scale || canvas.height !== grid.height * scale) {
    canvas.width = width * scale
    canvas.height = grid.height * scale
    canvas.style.height = `${grid.height}px`
  }
  const context = canvas.getContext("2d")
  if (context === null) return grid
  const style = getComputedStyle(canvas)
  context.setTransform(scale, 0, 0, scale, 0, 0)
  context.clearRect(0, 0, width, grid.height)
  const side = grid.cell - GAP
  // One path for each status: ten thousand squares cost four fills.
  for (const status of statuses) {
    context.fillStyle = style.getPropertyValue(`--${status}`)
    context.beginPath()
    agents.forEach((agent, i) => {
      if (agent.status !== status) return
      const x = (i % grid.columns) * grid.cell
      const y = Math.floor(i / grid.columns) * grid.cell
      // Shape as well as colour: full, half from below, from the middle, hollow.
      if (status === "offline") context.rect(x + side / 3, y + side / 3, side / 3, side / 3)
      else if (status === "error") {
        context.moveTo(x + side / 2, y)
        context.lineTo(x + side, y + side)
        context.lineTo(x, y + side)
      } else if (status === "online") context.rect(x + side / 6, y + side / 6, (side * 2) / 3, (side * 2) / 3)
      else context.rect(x, y, side, side)
    })
    context.fill()
  }
  const at = agents.findIndex(({ id }) => id === selected)
  if (at >= 0) {
    context.strokeStyle = style.getPropertyValue("--text")
    context.lineWidth = 2
    context.strokeRect((at % grid.columns) * grid.cell, Math.floor(at / grid.columns) * grid.cell, side, side)
  }
  return grid
}

const steps: Readonly<Record<string, (columns: number) => number>> = {
  ArrowLeft: () => -1,
  ArrowRight: () => 1,
  ArrowUp: (columns) => -columns,
  ArrowDown: (columns) => columns
}

/** The agents as squares, in the order they are given. */
export const HeatMap = (props: {
  readonly agents: ReadonlyArray<Agent>
  readonly selected: string
  readonly strings: Strings
  readonly onSelect: (id: string) => void
}) => {
  const { agents, onSelect, selected, strings } = props
  const canvas = useRef<HTMLCanvasElement>(null)
  const grid = useRef<Grid>({ columns: 1, cell: SIDE.max, height: 0 })
  useEffect(() => {
    if (canvas.current !== null) grid.current = draw(canvas.current, agents, selected)
  })
  const select = (index: number) => {
    const agent = agents[index]
    if (agent !== undefined) onSelect(agent.id)
  }
  return (
    // A canvas has no parts a screen reader could name: the label says how to move, and the panel tells of what is selected.
    <button
      type="button"
      class="heat"
      aria-label={strings.heatMap(agents.length)}
      onKeyDown={(event) => {
        const step = steps[event.key]
        if (step === undefined) return
        event.preventDefault()
        select(agents.findIndex(({ id }) => id === selected) + step(grid.current.columns))
      }}
      onClick={(event) => {
        // Enter and the space bar click as well, at no place.
        if (event.detail === 0) return
        const { cell, columns } = grid.current
        select(Math.floor(event.offsetY / cell) * columns + Math.floor(event.offsetX / cell))
      }}
    >
      <canvas ref={canvas} />
    </button>
  )
}
