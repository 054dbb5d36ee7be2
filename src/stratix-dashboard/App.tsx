/** The page: what is shown, kept in the address, drawn at most once per animation frame. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks"
import type { StatusClient } from "../stratix-client/StatusClient.js"
import { AgentPanel } from "./components/AgentPanel.js"
import { Commands } from "./components/Commands.js"
import { Connections } from "./components/Connections.js"
import { EmptyState } from "./components/EmptyState.js"
import { FeedList } from "./components/FeedList.js"
import { Field, Mark } from "./components/Field.js"
import { FreshnessStrip } from "./components/FreshnessStrip.js"
import { OpenRecording, Player } from "./components/Player.js"
import { SelectionPanel } from "./components/SelectionPanel.js"
import { startDemo } from "./Demo.js"
import * as Location from "./Location.js"
import { type Agent, agentStatuses, type Feed, makeModel, type View } from "./Model.js"
import type { Recording } from "./Recording.js"
import { languages } from "./strings.js"

/** Durations on the page are told in seconds at the finest. */
const CLOCK = 1000

/** What the client shows, drawn anew at most once per frame. */
const useLiveView = (client: StatusClient): View => {
  const [, setChanges] = useState(0)
  const model = useMemo(makeModel, [client])
  const view = useRef<View | undefined>(undefined)
  view.current ??= model.update(client.state)
  useEffect(() => {
    view.current = model.update(client.state)
    let frame = 0
    const changed = () => {
      if (frame !== 0) return
      frame = requestAnimationFrame(() => {
        frame = 0
        setChanges((count) => count + 1)
      })
    }
    const onState = (keys: ReadonlySet<string>) => {
      view.current = model.update(client.state, keys)
      changed()
    }
    const offs = [client.onState(onState), client.onFreshness(changed), client.onEvent(changed)]
    const clock = setInterval(changed, CLOCK)
    return () => {
      for (const off of offs) off()
      clearInterval(clock)
      cancelAnimationFrame(frame)
    }
  }, [client, model])
  return view.current
}

const usePlace = () => {
  const [place, setPlace] = useState(() => Location.read(location.search, navigator.languages))
  const go = (change: Partial<Location.Place>) => {
    const next = { ...place, ...change }
    history.replaceState(null, "", location.pathname + Location.write(next, navigator.languages))
    setPlace(next)
  }
  return [place, go] as const
}

const isShown = (agent: Agent, { search, status }: Location.Place): boolean =>
  (status === "" || agent.status === status) &&
  (search === "" || `${agent.name} ${agent.id} ${agent.type}`.toLowerCase().includes(search.toLowerCase()))

/** Keys 1 to 9 select the agents in the order they are shown, as units are selected in the wider project. */
const numberOf = (event: KeyboardEvent): number | undefined =>
  event.target instanceof HTMLInputElement ||
  event.ctrlKey ||
  event.metaKey ||
  event.altKey ||
  !/^[1-9]$/.test(event.key)
    ? undefined
    : Number(event.key)

/** The page of a client. */
export const App = (props: {
  readonly client: StatusClient
  readonly feed: Feed
  readonly token: string | undefined
}) => {
  const { client, feed, token } = props
  const [place, go] = usePlace()
  const live = useLiveView(client)
  const [played, setPlayed] = useState<{ readonly recording: Recording; readonly at: number }>()
  const recorded = useMemo(
    () => (played === undefined ? undefined : makeModel().update(played.recording.stateAt(played.at))),
    [played]
  )
  const view = recorded ?? live
  const strings = languages[place.language]
  const now = played === undefined ? Date.now() : played.recording.startedAt + played.at
  const shown = useMemo(() => view.agents.filter((agent) => isShown(agent, place)), [view, place.search, place.status])
  const selected = useMemo(() => new Set(place.selected), [place.selected])
  const chosen = view.agents.filter(({ id }) => selected.has(id))
  const only = chosen.length === 1 ? chosen[0] : undefined
  /** One agent instead of what was selected, or none if it was it alone; added to the rest, or taken from it, where `adds`. */
  const select = (id: string, adds = false) => {
    const others = adds ? place.selected.filter((other) => other !== id) : []
    const wasThere = adds ? selected.has(id) : selected.has(id) && selected.size === 1
    go({ selected: wasThere ? others : [...others, id] })
  }
  const selectAll = (ids: ReadonlyArray<string>, adds: boolean) =>
    go({ selected: adds ? [...new Set([...place.selected, ...ids])] : ids })

  const [stopDemo, setStopDemo] = useState<() => void>()
  const [demoProblem, setDemoProblem] = useState("")
  const begin = () => {
    setDemoProblem("")
    const stop = startDemo(token, setDemoProblem)
    setStopDemo(() => stop)
  }
  const end = () => {
    stopDemo?.()
    setStopDemo(undefined)
  }

  useEffect(() => {
    document.documentElement.lang = place.language
    document.title = strings.title
  }, [place.language])
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const agent = shown[(numberOf(event) ?? 0) - 1]
      if (agent !== undefined) select(agent.id)
      else if (event.key === "Escape") go({ selected: [] })
    }
    addEventListener("keydown", onKey)
    return () => removeEventListener("keydown", onKey)
  })

  return (
    <>
      <header class="top">
        {played === undefined ? (
          <FreshnessStrip
            client={client}
            freshness={client.freshness}
            isEmpty={view.agents.length === 0}
            strings={strings}
          />
        ) : (
          <Player
            {...played}
            strings={strings}
            onSeek={(at) => setPlayed({ ...played, at })}
            onClose={() => setPlayed(undefined)}
          />
        )}
        <h1>{strings.title}</h1>
        <fieldset class="chips">
          <legend class="unseen">{strings.agents}</legend>
          <button type="button" aria-pressed={place.status === ""} onClick={() => go({ status: "" })}>
            {strings.all} <b>{view.agents.length}</b>
          </button>
          {agentStatuses.map((status) => (
            <button
              key={status}
              type="button"
              aria-pressed={place.status === status}
              onClick={() => go({ status: place.status === status ? "" : status })}
            >
              <Mark status={status} /> {strings[status]} <b>{view.agentCounts[status]}</b>
            </button>
          ))}
        </fieldset>
        <input
          type="search"
          aria-label={strings.search}
          placeholder={strings.search}
          value={place.search}
          onInput={(event) => go({ search: event.currentTarget.value })}
        />
        {played === undefined && (
          <OpenRecording strings={strings} onOpen={(recording) => setPlayed({ recording, at: recording.length })} />
        )}
        {stopDemo !== undefined && (
          <button type="button" onClick={end}>
            {strings.stopDemo}
          </button>
        )}
        {demoProblem !== "" && <p class="failure">{demoProblem}</p>}
        <button
          type="button"
          lang={place.language === "en" ? "zh" : "en"}
          onClick={() => go({ language: place.language === "en" ? "zh" : "en" })}
        >
          {strings.language}
        </button>
      </header>
      <main>
        <section aria-label={strings.agents} class="left">
          {view.agents.length === 0 && played === undefined && client.freshness._tag === "live" ? (
            <EmptyState strings={strings} onDemo={begin} />
          ) : (
            <Field
              agents={shown}
              now={now}
              selected={selected}
              strings={strings}
              onSelect={select}
              onSelectAll={selectAll}
            />
          )}
        </section>
        <aside class="right">
          {only !== undefined && (
            <AgentPanel
              agent={only}
              commands={view.commandsOf(only.id)}
              client={played === undefined ? client : undefined}
              token={token}
              now={now}
              strings={strings}
              onClose={() => go({ selected: [] })}
            />
          )}
          {chosen.length > 1 && (
            <SelectionPanel
              agents={chosen}
              now={now}
              strings={strings}
              onSelect={select}
              onClose={() => go({ selected: [] })}
            />
          )}
          <nav class="tabs">
            {Location.tabs.map((tab) => (
              <button key={tab} type="button" aria-pressed={place.tab === tab} onClick={() => go({ tab })}>
                {strings[tab]}
              </button>
            ))}
          </nav>
          {place.tab === "commands" && (
            <Commands
              commands={view.commands}
              counts={view.commandCounts}
              status={place.command}
              now={now}
              strings={strings}
              onStatus={(command) => go({ command })}
              onSelect={(agent) => go({ selected: [agent] })}
            />
          )}
          {place.tab === "feed" && (
            <FeedList
              feed={feed}
              search={place.feedSearch}
              strings={strings}
              onSearch={(feedSearch) => go({ feedSearch })}
            />
          )}
          {place.tab === "connections" && <Connections token={token} strings={strings} />}
        </aside>
      </main>
    </>
  )
}
