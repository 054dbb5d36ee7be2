/** The newest events, to be searched and paused. */
import { useState } from "preact/hooks"
import type { StatusEvent } from "../../stratix-client/StatusClient.js"
import * as Format from "../format.js"
import type { Feed } from "../Model.js"
import type { Strings } from "../strings.js"

/** Rows shown at a time. */
const MAX_ROWS = 100

/** The feed of the page. */
export const FeedList = (props: {
  readonly feed: Feed
  readonly search: string
  readonly strings: Strings
  readonly onSearch: (text: string) => void
}) => {
  const { feed, onSearch, search, strings } = props
  const [paused, setPaused] = useState<{ readonly events: ReadonlyArray<StatusEvent>; readonly total: number }>()
  const events = paused?.events ?? feed.events()
  const wanted = search.toLowerCase()
  const shown = events.filter((event) => wanted === "" || JSON.stringify(event).toLowerCase().includes(wanted))
  return (
    <>
      <div class="tools">
        <input
          type="search"
          aria-label={strings.searchFeed}
          placeholder={strings.searchFeed}
          value={search}
          onInput={(event) => onSearch(event.currentTarget.value)}
        />
        <button
          type="button"
          aria-pressed={paused !== undefined}
          onClick={() => setPaused(paused === undefined ? { events: feed.events(), total: feed.total() } : undefined)}
        >
          {paused === undefined ? strings.pause : strings.resume(feed.total() - paused.total)}
        </button>
      </div>
      <ul class="rows feed">
        {shown.slice(0, MAX_ROWS).map((event) => (
          <li key={event.offset ?? event.requestId}>
            <details>
              <summary>
                <time>{Format.time(event.timestamp)}</time> {event.eventType.replace("stratix:", "")}{" "}
                <code>{JSON.stringify(event.payload).slice(0, 160)}</code>
              </summary>
              <pre>{Format.json(event)}</pre>
            </details>
          </li>
        ))}
      </ul>
    </>
  )
}
