/**
 * Hooks for React, 18 and later.
 *
 * @since 0.1.0
 */
import {
  createContext,
  createElement,
  type FunctionComponentElement,
  type ProviderProps,
  type ReactNode,
  useCallback,
  useContext,
  useEffect,
  useMemo,
  useSyncExternalStore
} from "react"
import type { Freshness, StatusClient, StatusClientOptions } from "../stratix-client/StatusClient.js"
import {
  type Agent,
  type Command,
  type CommandFilter,
  INITIAL_FRESHNESS,
  keyOfFilter,
  makeStatusStore,
  NO_AGENTS,
  NO_COMMANDS,
  noProvider,
  type StatusStore,
  selectCommands
} from "./StatusStore.js"

export type { Agent, Command, CommandFilter, StatusSource } from "./StatusStore.js"

const StatusContext = createContext<StatusStore | undefined>(undefined)

/** Where a `StatusProvider` gets its events: `url` with the client's options, read once for each `url`; or a `client` of the page's own.
 * @since 0.1.0
 * @category models */
export interface StatusProviderProps {
  readonly url?: string | URL
  readonly options?: StatusClientOptions
  readonly client?: StatusClient
  readonly children?: ReactNode
}

/** Connects when it is mounted, and never on a server; every hook is used below it.
 * @since 0.1.0
 * @category components */
export const StatusProvider = ({
  children,
  client,
  options,
  url
}: StatusProviderProps): FunctionComponentElement<ProviderProps<StatusStore | undefined>> => {
  const address = url === undefined ? undefined : String(url)
  // Not by the options: they are an object literal in most pages, another one at every render.
  const store = useMemo(() => {
    if (client) return makeStatusStore({ client })
    if (address === undefined) throw new TypeError("a StatusProvider needs a url or a client")
    return makeStatusStore({ url: address, options })
  }, [client, address])
  useEffect(() => store.start(), [store])
  return createElement(StatusContext.Provider, { value: store }, children)
}

const useStore = (hook: string): StatusStore => {
  const store = useContext(StatusContext)
  if (!store) throw noProvider(hook, "a StatusProvider")
  return store
}

const nothing = () => undefined

/** All agents. Renders again when any of them changes; those that have not are the same values.
 * @since 0.1.0
 * @category hooks */
export const useAgents = (): ReadonlyArray<Agent> => {
  const { agents, onAgents } = useStore("useAgents")
  return useSyncExternalStore(onAgents, agents, () => NO_AGENTS)
}

/** One agent, or `undefined` while the gateway has none of this id. Renders again when this one changes.
 * @since 0.1.0
 * @category hooks */
export const useAgent = (id: string): Agent | undefined => {
  const { agent, onAgent } = useStore("useAgent")
  const subscribe = useCallback((listener: () => void) => onAgent(id, listener), [onAgent, id])
  return useSyncExternalStore(subscribe, () => agent(id), nothing)
}

/** The commands that a filter lets through; all by default. Renders again when one of them comes, changes or goes.
 * @since 0.1.0
 * @category hooks */
export const useCommands = (filter: CommandFilter = {}): ReadonlyArray<Command> => {
  const store = useStore("useCommands")
  const key = keyOfFilter(filter)
  // By its key: a filter is an object literal in most pages, and is equal where its key is.
  const select = useMemo(() => selectCommands(store, filter), [store, key])
  return useSyncExternalStore(store.onCommands, select, () => NO_COMMANDS)
}

/** How true what is shown is.
 * @since 0.1.0
 * @category hooks */
export const useFreshness = (): Freshness => {
  const { freshness, onFreshness } = useStore("useFreshness")
  return useSyncExternalStore(onFreshness, freshness, () => INITIAL_FRESHNESS)
}
