/** Whether what is on the page is the truth, and what to do where it is not. */
import type { Freshness, StatusClient } from "../../stratix-client/StatusClient.js"
import * as Format from "../format.js"
import type { Strings } from "../strings.js"

const textOf = (freshness: Freshness, isEmpty: boolean, strings: Strings): string => {
  switch (freshness._tag) {
    case "live":
      return isEmpty ? strings.empty : strings.live
    case "behind":
      return strings.behind(Format.duration(freshness.ms))
    case "restarted":
      return strings.restarted
    case "connecting":
      return strings.connecting
    case "catching-up":
      return strings.catchingUp
    case "cut-off":
      return strings.cutOff(Format.time(freshness.since))
    case "stale":
      return strings.stale(Format.time(freshness.since))
    case "reconnecting":
      return strings.reconnecting(freshness.attempt)
    case "closed":
      return strings.closed(freshness.detail === "" ? freshness.reason : freshness.detail)
  }
}

/** The strip on top of the page. A screen reader is told of every change. */
export const FreshnessStrip = (props: {
  readonly client: StatusClient
  readonly freshness: Freshness
  readonly isEmpty: boolean
  readonly strings: Strings
}) => {
  const { client, freshness, isEmpty, strings } = props
  return (
    <div class={`strip ${freshness._tag}`}>
      <output aria-live="polite">
        <span class="dot" aria-hidden="true" />
        {textOf(freshness, isEmpty, strings)}
      </output>
      {freshness._tag === "reconnecting" && (
        <button type="button" onClick={client.retryNow}>
          {strings.retryNow}
        </button>
      )}
    </div>
  )
}
