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
  let ended = false
  let dropped = 0

  const settle = () => {
    while (waiting.length && (ended || values.length)) {
      const value = values.shift()
      waiting.shift()?.(value ? { done: false, value } : { done: true, value })
    }
  }
  const end = () => {
    ended = true
    settle()
  }
  const buffer: EventBuffer<A> = {
    get dropped() {
      return dropped
    },
    next: () =>
      new Promise((resolve) => {
        waiting.push(resolve)
        settle()
      }),
    return: () => {
      values.length = 0
      onReturn()
      end()
      return buffer.next()
    },
    [Symbol.asyncIterator]: () => buffer
  }
  return {
    buffer,
    push: (value) => {
      values.push(value)
      settle()
      if (values.length > capacity) {
        values.shift()
        dropped++
      }
    },
    end
  }
}
