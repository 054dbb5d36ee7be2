/** A box drawn with the mouse, which selects what lies in it. */
import type { ComponentChildren } from "preact"
import { useRef, useState } from "preact/hooks"

/** A rectangle of the window, in CSS pixels. */
export interface Box {
  readonly left: number
  readonly top: number
  readonly right: number
  readonly bottom: number
}

/** Pixels that a hand moves while it clicks. */
const CLICK = 6

interface Drag {
  readonly x: number
  readonly y: number
}

const boxOf = (from: Drag, to: Drag): Box => ({
  left: Math.min(from.x, to.x),
  top: Math.min(from.y, to.y),
  right: Math.max(from.x, to.x),
  bottom: Math.max(from.y, to.y)
})

/** Whether two rectangles have a point in common. */
export const overlap = (one: Box, other: Box): boolean =>
  one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom

/** What a box can be drawn over. Keys select as well; a finger scrolls. */
export const SelectionBox = (props: {
  readonly children: ComponentChildren
  /** `adds`: to what is selected already, with Shift, Ctrl or Cmd held. */
  readonly onBox: (box: Box, adds: boolean) => void
}) => {
  const { children, onBox } = props
  const begin = useRef<Drag | undefined>(undefined)
  const [box, setBox] = useState<Box>()
  return (
    <div
      class="box-area"
      onPointerDown={(event) => {
        if (event.button === 0 && event.pointerType !== "touch") begin.current = { x: event.clientX, y: event.clientY }
      }}
      onPointerMove={(event) => {
        if (begin.current === undefined) return
        const next = boxOf(begin.current, { x: event.clientX, y: event.clientY })
        if (box === undefined && next.right - next.left < CLICK && next.bottom - next.top < CLICK) return
        // From now on a drag, also outside of the area.
        if (box === undefined) event.currentTarget.setPointerCapture(event.pointerId)
        event.preventDefault()
        setBox(next)
      }}
      onPointerUp={(event) => {
        begin.current = undefined
        if (box === undefined) return
        setBox(undefined)
        onBox(box, event.shiftKey || event.ctrlKey || event.metaKey)
      }}
      onPointerCancel={() => {
        begin.current = undefined
        setBox(undefined)
      }}
    >
      {children}
      {box !== undefined && (
        <div
          class="box"
          style={{ left: box.left, top: box.top, width: box.right - box.left, height: box.bottom - box.top }}
        />
      )}
    </div>
  )
}
