/**
 * Stores for Svelte, 4 and later: `$agent` in a component. In runes, `fromStore` of `svelte/store` makes one a rune.
 *
 * @since 0.1.0
 */
import { getContext, onMount, setContext } from "svelte"
import { type Readable, readable } from "svelte/store"
import type { Freshness, Unsubscribe } from "../stratix-client/StatusClient.js"
import {
  type Agent,
  type Command,
  type CommandFilter,
  makeStatusStore,
  noProvider,
  type StatusSource,
  type StatusStore,
  selectCommands
} from "./StatusStore.js"

export type { Agent, Command, CommandFilter, StatusSource } from "./StatusStore.js"

const STORE = Symbol("stratix-status")

/** While a component is made: connects when it is mounted, and never on a server; the stores are used in it and below it.
 * @since 0.1.0
 * @category context */
export const setStatus = (source: StatusSource): void => {
  const store = makeStatusStore(source)
  setContext(STORE, store)
  onMount(() => store.start())
}

const storeOf = (name: string): StatusStore => {
  const store = getContext<StatusStore | undefined>(STORE)
  if (!store) throw noProvider(name, "a component that calls setStatus")
  return store
}

/** A Svelte store of what `read` says, which tells when that is another value. */
const follow = <A>(read: () => A, subscribe: (listener: () => void) => Unsubscribe): Readable<A> =>
  readable(read(), (set) => {
    let told = read()
    set(told)
    return subscribe(() => {
      const value = read()
      if (value === told) return
      told = value
      set(value)
    })
  })

/** All agents. Changes when any of them does; those that have not are the same values.
 * @since 0.1.0
 * @category stores */
export const useAgents = (): Readable<ReadonlyArray<Agent>> => {
  const { agents, onAgents } = storeOf("useAgents")
  return follow(agents, onAgents)
}

/** One agent, or `undefined` while the gateway has none of this id. Changes when this one does.
 * @since 0.1.0
 * @category stores */
export const useAgent = (id: string): Readable<Agent | undefined> => {
  const { agent, onAgent } = storeOf("useAgent")
  return follow(
    () => agent(id),
    (listener) => onAgent(id, listener)
  )
}

/** The commands that a filter lets through; all by default. Changes when one of them comes, changes or goes.
 * @since 0.1.0
 * @category stores */
export const useCommands = (filter: CommandFilter = {}): Readable<ReadonlyArray<Command>> => {
  const store = storeOf("useCommands")
  return follow(selectCommands(store, filter), store.onCommands)
}

/** How true what is shown is.
 * @since 0.1.0
 * @category stores */
export const useFreshness = (): Readable<Freshness> => {
  const { freshness, onFreshness } = storeOf("useFreshness")
  return follow(freshness, onFreshness)
}
