/** Who is connected and how far behind, for operators. */
import { useEffect, useState } from "preact/hooks"
import * as Format from "../format.js"
import type { Strings } from "../strings.js"

/** Between two looks, in milliseconds: the gateway makes the report anew for each. */
const EVERY = 2000

interface Connection {
  readonly id: string
  readonly address: string
  readonly principal: string
  readonly protocol: string
  readonly state: string
  readonly lagMs: number
  readonly screenLagMs?: number
  readonly roundTripMs?: number
  readonly ageMs: number
  readonly filter: Readonly<Record<string, ReadonlyArray<string>>>
}

type Report = { readonly connections: ReadonlyArray<Connection> } | { readonly problem: string }

const load = async (token: string | undefined): Promise<Report> => {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
  try {
    const response = await fetch("api/stratix/connections", { headers })
    const body = await response.json()
    return response.ok ? body : { problem: body.message }
  } catch (error) {
    return { problem: String(error) }
  }
}

/** The connections of the gateway, looked at anew every two seconds while they are on the page. */
export const Connections = (props: { readonly token: string | undefined; readonly strings: Strings }) => {
  const { strings, token } = props
  const [report, setReport] = useState<Report>({ connections: [] })
  useEffect(() => {
    let isOver = false
    let timer: ReturnType<typeof setTimeout> | undefined
    const look = async () => {
      const loaded = await load(token)
      if (isOver) return
      setReport(loaded)
      timer = setTimeout(look, EVERY)
    }
    void look()
    return () => {
      isOver = true
      clearTimeout(timer)
    }
  }, [token])
  if ("problem" in report) return <p class="failure">{report.problem}</p>
  return (
    <ul class="rows">
      {report.connections.map((connection) => (
        <li key={connection.id}>
          <span>
            <strong>{connection.id}</strong> {connection.principal} · {connection.address} · {connection.protocol}
            <br />
            <span class="more">
              {connection.state} · {strings.lag} {Format.duration(connection.lagMs)} · {strings.screenLag}{" "}
              {connection.screenLagMs === undefined ? "–" : Format.duration(connection.screenLagMs)} ·{" "}
              {strings.roundTrip} {connection.roundTripMs === undefined ? "–" : Format.duration(connection.roundTripMs)}{" "}
              · {strings.filter} {JSON.stringify(connection.filter)}
            </span>
          </span>
          <time>{Format.duration(connection.ageMs)}</time>
        </li>
      ))}
    </ul>
  )
}
