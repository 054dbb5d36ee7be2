/**
 * Handlers of one kind of event.
 *
 * @since 0.1.0
 */

/** Undoes what returned it; again does nothing.
 * @since 0.1.0
 * @category models */
export type Unsubscribe = () => void

/** Handlers, called in the order in which they were added.
 * @since 0.1.0
 * @category models */
export interface Handlers<A> {
  readonly add: (handler: (value: A) => unknown) => Unsubscribe
  readonly call: (value: A) => void
}

/** No handlers yet. One that throws, or whose promise fails, is told to `failed` and stops nothing.
 * @since 0.1.0
 * @category constructors */
export const makeHandlers = <A>(failed: (cause: unknown) => void): Handlers<A> => {
  const all = new Set<(value: A) => unknown>()
  return {
    add: (handler) => {
      // A function of its own: the same handler may be added twice.
      const own = (value: A) => handler(value)
      all.add(own)
      return () => all.delete(own)
    },
    call: (value) => {
      for (const handler of all) {
        try {
          const result = handler(value)
          if (result instanceof Promise) result.catch(failed)
        } catch (cause) {
          failed(cause)
        }
      }
    }
  }
}
