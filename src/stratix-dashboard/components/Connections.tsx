/** Who is connected and how far behind, for operators; they may disconnect a client and publish a test event. */
import { useState } from "preact/hooks"
import * as Format from "../format.js"
import * as Gateway from "../Gateway.js"
import type { Strings } from "../strings.js"
import { failure, useReport } from "../useReport.js"
import { Findings } from "./Findings.js"
import { Sparklines } from "./Sparklines.js"

/** Between two looks, in milliseconds: the gateway makes the report anew for each. */
const EVERY = 2000

/** The connections of the gateway, looked at anew every two seconds while they are on the page. */
export const Connections = (props: { readonly token: string | undefined; readonly strings: Strings }) => {
  const { strings, token } = props
  const { problem, report: connections = [], setProblem, setReport } = useReport(Gateway.connections, token, EVERY)
  const [told, setTold] = useState("")
  const disconnect = (id: string) =>
    Gateway.disconnect(token, id).then(
      () => setReport((before) => before?.filter((connection) => connection.id !== id)),
      (error) => setProblem(failure(error))
    )
  const publish = () =>
    Gateway.publishTest(token).then(
      (offset) => setTold(strings.testDone(offset)),
      (error) => setTold(failure(error))
    )
  return (
    <>
      <Findings token={token} strings={strings} />
      <Sparklines token={token} strings={strings} />
      <div class="tools">
        <button type="button" onClick={publish}>
          {strings.testEvent}
        </button>
        <output aria-live="polite">{told}</output>
      </div>
      {problem !== "" && <p class="failure">{problem}</p>}
      <ul class="rows">
        {connections.map((connection) => (
          <li key={connection.id}>
            <span>
              <strong>{connection.id}</strong> {connection.principal} · {connection.address} · {connection.protocol}
              <br />
              <span class="more">
                {connection.state} · {strings.lag} {Format.duration(connection.lagMs)} · {strings.screenLag}{" "}
                {connection.screenLagMs === undefined ? "–" : Format.duration(connection.screenLagMs)} ·{" "}
                {strings.roundTrip}{" "}
                {connection.roundTripMs === undefined ? "–" : Format.duration(connection.roundTripMs)} ·{" "}
                {strings.filter} {JSON.stringify(connection.filter)}
              </span>
            </span>
            <span class="end">
              <time>{Format.duration(connection.ageMs)}</time>
              <button
                type="button"
                aria-label={`${strings.disconnect}: ${connection.id}`}
                onClick={() => disconnect(connection.id)}
              >
                {strings.disconnect}
              </button>
            </span>
          </li>
        ))}
      </ul>
    </>
  )
}
