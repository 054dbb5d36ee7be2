/**
 * Which keys have changed since they were last told, told at most once per frame.
 */

/** Collects keys. */
export interface StateChanges {
  readonly add: (key: string) => void
  /** Nothing more is told. */
  readonly cancel: () => void
}

/** `schedule` runs a task once, later; `tell` is then given all keys that were added until then. */
export const makeStateChanges = (
  schedule: (task: () => void) => () => void,
  tell: (keys: ReadonlySet<string>) => void
): StateChanges => {
  // Bound: the keys of what is shown before and after.
  let keys = new Set<string>()
  let cancel: (() => void) | undefined
  return {
    add: (key) => {
      keys.add(key)
      cancel ??= schedule(() => {
        const told = keys
        keys = new Set()
        cancel = undefined
        tell(told)
      })
    },
    cancel: () => cancel?.()
  }
}
