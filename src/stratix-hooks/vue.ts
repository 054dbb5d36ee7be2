/**
 * Composables for Vue, 3.3 and later.
 *
 * @since 0.1.0
 */
import {
  type InjectionKey,
  inject,
  type MaybeRefOrGetter,
  onBeforeUnmount,
  onMounted,
  onScopeDispose,
  provide,
  type ShallowRef,
  shallowRef,
  toValue,
  watch
} from "vue"
import type { Freshness, Unsubscribe } from "../stratix-client/StatusClient.js"
import {
  type Agent,
  type Command,
  type CommandFilter,
  keyOfFilter,
  makeStatusStore,
  noProvider,
  type StatusSource,
  type StatusStore,
  selectCommands
} from "./StatusStore.js"

export type { Agent, Command, CommandFilter, StatusSource } from "./StatusStore.js"

const STORE: InjectionKey<StatusStore> = Symbol("stratix-status")

/** In `setup`: connects when the component is mounted, and never on a server; the composables are used below it.
 * @since 0.1.0
 * @category composables */
export const provideStatus = (source: StatusSource): void => {
  const store = makeStatusStore(source)
  let stop: Unsubscribe | undefined
  provide(STORE, store)
  onMounted(() => {
    stop = store.start()
  })
  onBeforeUnmount(() => stop?.())
}

const useStore = (composable: string): StatusStore => {
  const store = inject(STORE, undefined)
  if (!store) throw noProvider(composable, "a component that calls provideStatus")
  return store
}

/** A ref of what `read` says, read again whenever `subscribe` calls back. */
const follow = <A>(read: () => A, subscribe: (listener: () => void) => Unsubscribe): Readonly<ShallowRef<A>> => {
  const value = shallowRef(read())
  onScopeDispose(
    subscribe(() => {
      value.value = read()
    })
  )
  return value
}

/** All agents. Changes when any of them does; those that have not are the same values.
 * @since 0.1.0
 * @category composables */
export const useAgents = (): Readonly<ShallowRef<ReadonlyArray<Agent>>> => {
  const { agents, onAgents } = useStore("useAgents")
  return follow(agents, onAgents)
}

/** One agent, or `undefined` while the gateway has none of this id. Changes when this one does. The id may be a ref or a getter.
 * @since 0.1.0
 * @category composables */
export const useAgent = (id: MaybeRefOrGetter<string>): Readonly<ShallowRef<Agent | undefined>> => {
  const { agent, onAgent } = useStore("useAgent")
  const value = shallowRef(agent(toValue(id)))
  watch(
    () => toValue(id),
    (now, _before, onCleanup) => {
      const update = () => {
        value.value = agent(now)
      }
      onCleanup(onAgent(now, update))
      update()
    },
    { immediate: true, flush: "sync" }
  )
  return value
}

/** The commands that a filter lets through; all by default. Changes when one of them comes, changes or goes. The filter may be a ref or a getter.
 * @since 0.1.0
 * @category composables */
export const useCommands = (
  filter: MaybeRefOrGetter<CommandFilter> = {}
): Readonly<ShallowRef<ReadonlyArray<Command>>> => {
  const store = useStore("useCommands")
  const value = shallowRef(selectCommands(store, toValue(filter))())
  watch(
    () => keyOfFilter(toValue(filter)),
    (_now, _before, onCleanup) => {
      const select = selectCommands(store, toValue(filter))
      const update = () => {
        value.value = select()
      }
      onCleanup(store.onCommands(update))
      update()
    },
    { immediate: true, flush: "sync" }
  )
  return value
}

/** How true what is shown is.
 * @since 0.1.0
 * @category composables */
export const useFreshness = (): Readonly<ShallowRef<Freshness>> => {
  const { freshness, onFreshness } = useStore("useFreshness")
  return follow(freshness, onFreshness)
}
