/**
 * Revocations on their way to all gateways of a log in Redis, and what the others made.
 *
 * Redis remembers them, and every answer of the script says whether there are others than before: a gateway that was away hears them with the first
 * one. In an epoch that has just begun Redis may have lost some, so each gateway tells it all that it knows.
 */
import type * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import { MAX_REVOKED, type Revocation, type Revocations } from "../Revocations.js"
import type { Answer } from "./Commands.js"
import type { GroupCommit } from "./GroupCommit.js"

/** Time until what Redis did not take is told again. */
const AGAIN: Duration.DurationInput = "250 millis"

interface Known extends Revocation {
  /** In milliseconds of Redis; `undefined` until it has said so. */
  readonly redisAt: number | undefined
}

/** The revocations of one gateway's log. */
export class SharedRevocations implements Revocations {
  // Bound: MAX_REVOKED; the oldest leave, as they leave Redis.
  private readonly known = new Map<string, Known>()
  // Bound, both: those of `known`.
  private readonly unshared = new Set<string>()
  private readonly waiting = new Map<string, Deferred.Deferred<void>>()
  // Bound: one for each authenticator that asks, and in each MAX_REVOKED.
  private readonly subscribers = new Set<Queue.Enqueue<Revocation>>()
  private readonly work = Effect.unsafeMakeLatch(false)
  private epoch = ""
  private revision = -1

  /** @param patience Time for Redis to take one before `share` goes on without it. */
  constructor(
    private readonly commit: GroupCommit,
    private readonly clock: Clock.Clock,
    private readonly patience: Duration.DurationInput
  ) {}

  readonly share = ({ at, name }: Revocation): Effect.Effect<void> =>
    Effect.gen(this, function* () {
      const shared = this.waiting.get(name) ?? (yield* Deferred.make<void>())
      this.waiting.set(name, shared)
      this.remember({ name, at, redisAt: undefined })
      this.unshared.add(name)
      this.work.unsafeOpen()
      const isShared = yield* Effect.timeoutOption(Deferred.await(shared), this.patience)
      if (Option.isSome(isShared)) return
      yield* Effect.logWarning(
        `other gateways do not know yet that ${name} is revoked: they hear of it when Redis is back, if this gateway still runs`
      ).pipe(Effect.annotateLogs({ module: "EventLogRedis" }))
    })

  readonly subscribe: Effect.Effect<Queue.Dequeue<Revocation>, never, Scope.Scope> = Effect.gen(this, function* () {
    const queue = yield* Queue.sliding<Revocation>(MAX_REVOKED)
    for (const { at, name } of this.known.values()) queue.unsafeOffer({ name, at })
    yield* Effect.acquireRelease(
      Effect.sync(() => this.subscribers.add(queue)),
      () => Effect.sync(() => this.subscribers.delete(queue))
    )
    return queue
  })

  /** Whether Redis has others than this gateway knows. */
  isBehind({ epoch, revision }: Answer): boolean {
    return epoch !== this.epoch || revision !== this.revision
  }

  /** Takes what Redis remembers. */
  hear({ epoch, now, revision }: Answer, remembered: ReadonlyArray<Revocation>): void {
    const isLost = this.epoch !== "" && epoch !== this.epoch
    this.epoch = epoch
    this.revision = revision
    const wall = this.clock.unsafeCurrentTimeMillis()
    for (const { at, name } of remembered) {
      if ((this.known.get(name)?.redisAt ?? Number.NEGATIVE_INFINITY) >= at) continue
      const revocation = { name, at: wall - Math.max(0, now - at) }
      if (!this.unshared.has(name)) this.remember({ ...revocation, redisAt: at })
      for (const subscriber of this.subscribers) subscriber.unsafeOffer(revocation)
    }
    if (!isLost) return
    for (const name of this.known.keys()) this.unshared.add(name)
    this.work.unsafeOpen()
  }

  /** Tells Redis what it does not know, until the scope closes. */
  get sharing(): Effect.Effect<void, never, Scope.Scope> {
    return Effect.gen(this, function* () {
      yield* this.work.await
      this.work.unsafeClose()
      // In one batch, or a few.
      yield* Effect.forEach([...this.unshared], (name) => this.tell(name), { concurrency: "unbounded", discard: true })
      if (this.unshared.size === 0) return
      this.work.unsafeOpen()
      yield* Effect.sleep(AGAIN)
    }).pipe(Effect.forever, Effect.interruptible, Effect.forkScoped, Effect.asVoid)
  }

  private tell(name: string): Effect.Effect<void> {
    return Effect.gen(this, function* () {
      const known = this.known.get(name)
      if (known !== undefined) {
        const ago = this.clock.unsafeCurrentTimeMillis() - known.at
        const redisAt = yield* this.commit.revoke(name, known.redisAt, ago)
        // Revoked once more meanwhile.
        if (this.known.get(name) !== known) return
        this.known.set(name, { ...known, redisAt })
      }
      this.unshared.delete(name)
      const shared = this.waiting.get(name)
      this.waiting.delete(name)
      if (shared !== undefined) yield* Deferred.succeed(shared, undefined)
    }).pipe(Effect.ignore)
  }

  private remember(known: Known): void {
    this.known.delete(known.name)
    this.known.set(known.name, known)
    const oldest = this.known.size > MAX_REVOKED ? this.known.keys().next().value : undefined
    if (oldest !== undefined) this.known.delete(oldest)
  }
}
