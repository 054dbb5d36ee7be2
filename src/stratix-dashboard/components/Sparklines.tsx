/** The last minutes of the metrics that say how the gateway is. */
import { useEffect, useState } from "preact/hooks"
import * as Gateway from "../Gateway.js"
import type { Strings } from "../strings.js"

/** Between two looks, in milliseconds. */
const EVERY = 2000

/** Looks that are shown: two minutes. */
const SHOWN = 60

interface Look {
  readonly at: number
  readonly events: number
  readonly deliveries: number
  readonly active: number
  readonly memory: number
}

/** The sum of a metric over its labels. */
const sumOf = (text: string, name: string): number =>
  [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, "gm"))].reduce(
    (sum, [, value]) => sum + Number(value),
    0
  )

const lookAt = (text: string): Look => ({
  at: performance.now(),
  events: sumOf(text, "stratix_events_total"),
  deliveries: sumOf(text, "stratix_deliveries_total"),
  active: sumOf(text, "stratix_event_loop_active_seconds_total"),
  memory: sumOf(text, "stratix_resident_memory_bytes")
})

/** The change of a counter between looks, by the second. */
const rates = (looks: ReadonlyArray<Look>, of: (look: Look) => number): ReadonlyArray<number> =>
  looks.slice(1).map((look, i) => {
    const before = looks[i]
    if (before === undefined) return 0
    // A counter that fell was reset by a restart.
    return Math.max(0, ((of(look) - of(before)) * 1000) / (look.at - before.at))
  })

const WIDTH = 120
const HEIGHT = 24

const Line = (props: { readonly label: string; readonly value: string; readonly values: ReadonlyArray<number> }) => {
  const { label, value, values } = props
  const most = Math.max(...values, Number.MIN_VALUE)
  const points = values
    .map((one, i) => `${((i + SHOWN - values.length) / (SHOWN - 1)) * WIDTH},${HEIGHT - (one / most) * HEIGHT}`)
    .join(" ")
  return (
    <div class="spark">
      <span>{label}</span>
      <svg viewBox={`0 -1 ${WIDTH} ${HEIGHT + 2}`} preserveAspectRatio="none" aria-hidden="true">
        <polyline points={points} />
      </svg>
      <b>{value}</b>
    </div>
  )
}

const rounded = (value: number): string => (value < 10 ? value.toFixed(1) : Math.round(value).toLocaleString())

/** Drawn anew every two seconds; nothing where the metrics are not for this token, or switched off. */
export const Sparklines = (props: { readonly token: string | undefined; readonly strings: Strings }) => {
  const { strings, token } = props
  const [looks, setLooks] = useState<ReadonlyArray<Look>>([])
  useEffect(() => {
    let isOver = false
    let timer: ReturnType<typeof setTimeout> | undefined
    const look = async () => {
      const text = await Gateway.metrics(token).catch(() => undefined)
      if (isOver) return
      if (text !== undefined) setLooks((before) => [...before.slice(-SHOWN), lookAt(text)])
      timer = setTimeout(look, EVERY)
    }
    void look()
    return () => {
      isOver = true
      clearTimeout(timer)
    }
  }, [token])
  const last = looks.at(-1)
  if (last === undefined || looks.length < 2) return null
  const events = rates(looks, (look) => look.events)
  const deliveries = rates(looks, (look) => look.deliveries)
  const active = rates(looks, (look) => look.active)
  const now = (values: ReadonlyArray<number>) => values.at(-1) ?? 0
  return (
    <div class="sparks">
      <Line label={strings.events} value={strings.perSecond(rounded(now(events)))} values={events} />
      <Line label={strings.deliveries} value={strings.perSecond(rounded(now(deliveries)))} values={deliveries} />
      <Line label={strings.eventLoop} value={`${Math.round(now(active) * 100)} %`} values={active} />
      <Line
        label={strings.memory}
        value={`${Math.round(last.memory / 1048576)} MiB`}
        values={looks.map(({ memory }) => memory)}
      />
    </div>
  )
}
