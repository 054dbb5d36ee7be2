/**
 * An async iterator of what is pushed.
 *
 * @since 0.1.0
 */

/** Events that wait to be taken, in order.
 * @since 0.1.0
 * @category models */
export interface EventBuffer<A> extends AsyncIterableIterator<A, undefined> {
  /** How many were dropped because the consumer was too slow. */
  readonly dropped: number
}

/** The side that fills an `EventBuffer`.
 * @since 0.1.0
 * @category models */
export interface EventSource<A> {
  readonly buffer: EventBuffer<A>
  readonly push: (value: A) => void
  /** No more values; those that are there can still be taken. */
  readonly end: () => void
}

/** Bound: `capacity` values not yet taken; above it the oldest is dropped and counted. `onReturn` is called when the consumer breaks off.
 * @since 0.1.0
 * @category constructors */
export const makeEventSource = <A extends object>(capacity: number, onReturn: () => void): EventSource<A> => {
  const values: Array<A> = []
  // Bound: one for each `next()` that is not answered yet.
  const waiting: Array<(result: IteratorResult<A, undefined>) => void> = []
  const done = { done: true, value: undefined } as const
  let ended = false
  let dropped = 0

  const end = () => {
    ended = true
    for (const waiter of waiting.splice(0)) waiter(done)
  }
  const buffer: EventBuffer<A> = {
    get dropped() {
      return dropped
    },
    next: () =>
      new Promise((resolve) => {
        const value = values.shift()
        if (value) resolve({ done: false, value })
        else if (ended) resolve(done)
        else waiting.push(resolve)
      }),
    return: () => {
      values.length = 0
      onReturn()
      end()
      return Promise.resolve(done)
    },
    [Symbol.asyncIterator]: () => buffer
  }
  return {
    buffer,
    push: (value) => {
      const waiter = waiting.shift()
      if (waiter) return waiter({ done: false, value })
      values.push(value)
      if (values.length <= capacity) return
      values.shift()
      dropped++
    },
    end
  }
}
