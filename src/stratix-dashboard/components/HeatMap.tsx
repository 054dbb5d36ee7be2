/** Thousands of agents as squares on a canvas. */
import { useEffect, useRef } from "preact/hooks"
import type { Agent, AgentStatus } from "../Model.js"
import type { Strings } from "../strings.js"
import { type Box, SelectionBox } from "./SelectionBox.js"

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

/** What is on the canvas: what has not changed since is not drawn again. */
interface Drawn {
  readonly grid: Grid
  readonly width: number
  readonly scale: number
  /** Colours change with the scheme of the system. */
  readonly colours: string
  /** What each square shows. */
  readonly squares: ReadonlyArray<string>
}

const nothing: Drawn = { grid: { columns: 1, cell: SIDE.max, height: 0 }, width: 0, scale: 0, colours: "", squares: [] }

/** Shape as well as colour, in a square of this side: full, three quarters, a triangle, a dot. */
const shapes: Readonly<
  Record<AgentStatus, (context: CanvasRenderingContext2D, x: number, y: number, side: number) => void>
> = {
  busy: (context, x, y, side) => context.rect(x, y, side, side),
  online: (context, x, y, side) => context.rect(x + side / 6, y + side / 6, (side * 2) / 3, (side * 2) / 3),
  error: (context, x, y, side) => {
    context.moveTo(x + side / 2, y)
    context.lineTo(x + side, y + side)
    context.lineTo(x, y + side)
  },
  offline: (context, x, y, side) => context.rect(x + side / 3, y + side / 3, side / 3, side / 3)
}

const statuses: ReadonlyArray<AgentStatus> = ["online", "busy", "error", "offline"]

const draw = (
  canvas: HTMLCanvasElement,
  agents: ReadonlyArray<Agent>,
  selected: ReadonlySet<string>,
  before: Drawn
): Drawn => {
  const width = canvas.clientWidth
  const grid = gridOf(agents.length, width, window.innerHeight * 0.7)
  const scale = window.devicePixelRatio
  const style = getComputedStyle(canvas)
  const colourOf = (name: string) => style.getPropertyValue(`--${name}`)
  const colours = ["text", ...statuses].map(colourOf).join()
  const context = canvas.getContext("2d")
  const isNew =
    before.width !== width ||
    before.scale !== scale ||
    before.colours !== colours ||
    before.squares.length !== agents.length ||
    before.grid.cell !== grid.cell
  if (isNew) {
    canvas.width = width * scale
    canvas.height = grid.height * scale
    canvas.style.height = `${grid.height}px`
  }
  const squares = agents.map(({ id, status }) => (selected.has(id) ? `${status}!` : status))
  if (context === null) return { ...nothing, grid }
  context.setTransform(scale, 0, 0, scale, 0, 0)
  const side = grid.cell - GAP
  const changed: Record<AgentStatus, Array<number>> = { online: [], busy: [], error: [], offline: [] }
  const outlined: Array<number> = []
  const x = (i: number) => (i % grid.columns) * grid.cell
  const y = (i: number) => Math.floor(i / grid.columns) * grid.cell
  agents.forEach(({ id, status }, i) => {
    if (!isNew && squares[i] === before.squares[i]) return
    changed[status].push(i)
    if (selected.has(id)) outlined.push(i)
    if (!isNew) context.clearRect(x(i), y(i), grid.cell, grid.cell)
  })
  // One path for each status: ten thousand squares cost four fills.
  for (const status of statuses) {
    context.fillStyle = colourOf(status)
    context.beginPath()
    for (const i of changed[status]) shapes[status](context, x(i), y(i), side)
    context.fill()
  }
  context.strokeStyle = colourOf("text")
  context.lineWidth = 2
  // Within its square, so that it goes with it.
  for (const i of outlined) context.strokeRect(x(i) + 1, y(i) + 1, side - 2, side - 2)
  return { grid, width, scale, colours, squares }
}

/** Indexes of the squares that a box touches; its edges are counted from the corner of the canvas. */
const squaresIn = ({ cell, columns }: Grid, count: number, box: Box): ReadonlyArray<number> => {
  const last = (edge: number) => Math.ceil(edge / cell) - 1
  const found: Array<number> = []
  for (let row = Math.max(0, Math.floor(box.top / cell)); row <= last(box.bottom); row++) {
    for (
      let column = Math.max(0, Math.floor(box.left / cell));
      column <= Math.min(columns - 1, last(box.right));
      column++
    ) {
      const i = row * columns + column
      if (i < count) found.push(i)
    }
  }
  return found
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
  readonly selected: ReadonlySet<string>
  readonly strings: Strings
  readonly onSelect: (id: string, adds: boolean) => void
  readonly onSelectAll: (ids: ReadonlyArray<string>, adds: boolean) => void
}) => {
  const { agents, onSelect, onSelectAll, selected, strings } = props
  const canvas = useRef<HTMLCanvasElement>(null)
  const drawn = useRef(nothing)
  useEffect(() => {
    if (canvas.current !== null) drawn.current = draw(canvas.current, agents, selected, drawn.current)
  })
  const select = (index: number, adds: boolean) => {
    const agent = agents[index]
    if (agent !== undefined) onSelect(agent.id, adds)
  }
  const selectIn = (box: Box, adds: boolean) => {
    const corner = canvas.current?.getBoundingClientRect()
    if (corner === undefined) return
    const { bottom, left, right, top } = box
    const within = {
      left: left - corner.left,
      top: top - corner.top,
      right: right - corner.left,
      bottom: bottom - corner.top
    }
    const squares = squaresIn(drawn.current.grid, agents.length, within)
    onSelectAll(
      squares.flatMap((i) => agents[i]?.id ?? []),
      adds
    )
  }
  return (
    <SelectionBox onBox={selectIn}>
      {/* A canvas has no parts a screen reader could name: the label says how to move, and the panel tells of what is selected. */}
      <button
        type="button"
        class="heat"
        aria-label={strings.heatMap(agents.length)}
        onKeyDown={(event) => {
          const step = steps[event.key]
          if (step === undefined) return
          event.preventDefault()
          const from = agents.findIndex(({ id }) => selected.has(id))
          select(from + step(drawn.current.grid.columns), false)
        }}
        onClick={(event) => {
          // Enter and the space bar click as well, at no place.
          if (event.detail === 0) return
          const { cell, columns } = drawn.current.grid
          const index = Math.floor(event.offsetY / cell) * columns + Math.floor(event.offsetX / cell)
          select(index, event.shiftKey || event.ctrlKey || event.metaKey)
        }}
      >
        <canvas ref={canvas} />
      </button>
    </SelectionBox>
  )
}
