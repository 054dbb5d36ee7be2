/**
 * Revocations among the processes of one gateway: what one of them revokes, all do.
 */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import { type Link, Topic } from "../../channel/Link.js"
import type { EventLog } from "../EventLog.js"
import { MAX_REVOKED, type Revocation, type Revocations } from "../Revocations.js"

/** The newest revocation of each name. Bound: MAX_REVOKED; the oldest are forgotten. */
class Known {
  private readonly byName = new Map<string, number>()

  /** `false`: it was known. */
  add({ at, name }: Revocation): boolean {
    if ((this.byName.get(name) ?? Number.NEGATIVE_INFINITY) >= at) return false
    this.byName.delete(name)
    this.byName.set(name, at)
    if (this.byName.size > MAX_REVOKED) this.byName.delete(this.byName.keys().next().value ?? "")
    return true
  }

  all(): ReadonlyArray<Revocation> {
    return [...this.byName].map(([name, at]) => ({ name, at }))
  }
}

const textsOf = (revocations: ReadonlyArray<Revocation>): ReadonlyArray<string> =>
  revocations.flatMap(({ at, name }) => [name, String(at)])

const revocationsIn = (texts: ReadonlyArray<string>): ReadonlyArray<Revocation> => {
  const found: Array<Revocation> = []
  for (let i = 0; i + 1 < texts.length; i += 2) found.push({ name: texts[i] ?? "", at: Number(texts[i + 1]) })
  return found
}

/** For the process that holds the log: passes on what a worker revokes, and what the log hears of. */
export const relay = (
  log: EventLog["Type"],
  runFork: (effect: Effect.Effect<void>) => void
): Effect.Effect<(link: Link) => void, never, Scope.Scope> =>
  Effect.gen(function* () {
    const known = new Known()
    const links = new Set<Link>()
    const hear = (revocations: ReadonlyArray<Revocation>) => {
      const fresh = revocations.filter((revocation) => known.add(revocation))
      if (fresh.length > 0) for (const link of links) link.send(Topic.revoked, textsOf(fresh))
    }
    if (log.revocations !== undefined) {
      const heard = yield* log.revocations.subscribe
      hear([...(yield* Queue.takeAll(heard))])
      yield* Queue.takeBetween(heard, 1, MAX_REVOKED).pipe(
        Effect.map((chunk) => hear([...chunk])),
        Effect.forever,
        Effect.interruptible,
        Effect.forkScoped
      )
    }
    return (link) => {
      links.add(link)
      link.closed(() => links.delete(link))
      link.send(Topic.revoked, textsOf(known.all()))
      link.answer(Topic.revoke, (texts, reply) => {
        const revocations = revocationsIn(texts)
        hear(revocations)
        const shared = Effect.forEach(revocations, (each) => log.revocations?.share(each) ?? Effect.void)
        runFork(Effect.map(shared, () => reply([])))
      })
    }
  })

/** For a worker. */
export const make = (link: Link): Revocations => {
  const known = new Known()
  const subscribers = new Set<Queue.Enqueue<Revocation>>()
  link.on(Topic.revoked, (texts) => {
    for (const revocation of revocationsIn(texts)) {
      if (known.add(revocation)) for (const subscriber of subscribers) subscriber.unsafeOffer(revocation)
    }
  })
  return {
    share: (revocation) => Effect.asVoid(link.ask(Topic.revoke, textsOf([revocation]))),
    subscribe: Effect.gen(function* () {
      const queue = yield* Queue.sliding<Revocation>(MAX_REVOKED)
      yield* Queue.offerAll(queue, known.all())
      yield* Effect.acquireRelease(
        Effect.sync(() => subscribers.add(queue)),
        () => Effect.sync(() => subscribers.delete(queue))
      )
      return queue
    })
  }
}
