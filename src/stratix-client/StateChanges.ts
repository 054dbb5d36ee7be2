/**
 * Which keys have changed since they were last told, told at most once per frame.
 */

/** Collects keys. */
export interface StateChanges {
  readonly add: (key: string) => void
  /** Takes the set over: it may be as large as a snapshot, and is not copied. */
  readonly merge: (more: Set<string>) => void
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
  const run = () => {
    cancel = undefined
    if (!keys.size) return
    const told = keys
    keys = new Set()
    tell(told)
  }
  return {
    add: (key) => {
      keys.add(key)
      cancel ??= schedule(run)
    },
    merge: (more) => {
      keys.forEach(more.add, more)
      keys = more
      cancel ??= schedule(run)
    },
    cancel: () => cancel?.()
  }
}
