/**
 * One stay with one Redis: two connections, the tail into the mirror, batches to the script, and a call every second.
 *
 * It ends with the failure that ended the contact. The mirror outlives it, and the next session goes on where this one ended, if the log still
 * leads there.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Settings } from "../../config/StatusSyncConfig.js"
import { EventLogStartError } from "../EventLog.js"
import { Epochs } from "../mirror/Epochs.js"
import type { Mirror } from "../mirror/Mirror.js"
import type { Recorded } from "../mirror/Records.js"
import type { Address } from "./Address.js"
import { FORMAT } from "./AppendScript.js"
import * as Bootstrap from "./Bootstrap.js"
import * as Checks from "./Checks.js"
import type { Answer, Commands, Refusal } from "./Commands.js"
import * as Connection from "./Connection.js"
import type { Batch, GroupCommit } from "./GroupCommit.js"
import type { SharedRevocations } from "./SharedRevocations.js"
import * as Upgrade from "./Upgrade.js"

/** Milliseconds that a read waits for events before it looks whether the log is still the same: after a FLUSHALL it would wait for ever. */
const BLOCK = 250

/** Between two questions whether this Redis is still the primary: one that was cut off from those who replaced it goes on answering. */
const CHECK_EVERY: Duration.DurationInput = "10 seconds"

/** Milliseconds between two calls of the script that only look after the log. */
const CALL_EVERY = 1000

/** Milliseconds between such calls where more is due than one of them does. */
const CALL_SOON = 5

/** Events in one read: 300 KB, and less than a turn of the event loop should take. */
const READ_EVENTS = 1000

/** Error replies after which another connection may find a Redis that takes the batch. */
const ELSEWHERE = new Set(["READONLY", "LOADING", "MASTERDOWN", "UNBLOCKED", "NOAUTH", "NOPERM", "UNEXPECTED"])

/** What a session works on. */
export interface Context {
  readonly address: Address
  readonly settings: Settings
  readonly commands: Commands
  readonly commit: GroupCommit
  readonly revocations: SharedRevocations
  /** Milliseconds that never go back. */
  readonly now: () => number
  /** In place of Redis' own clock; for tests. */
  readonly time: () => number | undefined
  /** A name for an epoch that may begin. */
  readonly newEpoch: () => string
  readonly mirror: () => Mirror | undefined
  readonly rebuilt: (mirror: Mirror, id: string) => void
  readonly apply: (entries: ReadonlyArray<Recorded>) => void
  readonly heard: (answer?: Answer) => void
  readonly epochBegan: () => void
  readonly observe: (batchMillis: number) => void
  /** The mirror is complete, and appends are taken. */
  readonly ready: Effect.Effect<void>
  /** Completes when an append did not come back. */
  readonly astray: Effect.Effect<void>
}

/** What keeps a gateway from the log until an operator has changed something. */
const refusalOf = (refusal: Refusal, agreed: string): EventLogStartError => {
  switch (refusal._tag) {
    case "Format":
      return new EventLogStartError({
        reason: "Format",
        detail: `another version wrote the log: it has format ${refusal.found}, and this version knows formats up to ${FORMAT}. Run the same version everywhere, or give this one a namespace of its own`
      })
    case "Settings":
      return new EventLogStartError({
        reason: "Settings",
        detail: `other gateways are running on this log with other settings: theirs are ${refusal.found}, here they are ${agreed}`
      })
    case "Late":
      return new EventLogStartError({ reason: "Refused", detail: "a call without a deadline came too late" })
  }
}

const isRefusal = (said: Answer | Refusal): said is Refusal => "_tag" in said

/** Runs until contact is lost. */
export const run = (
  context: Context
): Effect.Effect<never, Connection.RedisFailure | EventLogStartError, Scope.Scope> =>
  Effect.gen(function* () {
    const { address, commands, commit, newEpoch, now, revocations, settings, time } = context
    const { check, connect } = yield* Connection.find(address)
    const [writer, reader] = yield* Effect.all([connect, connect], { concurrency: 2 })

    const { engine, refusals, warnings } = yield* Checks.look(writer)
    if (refusals.length > 0) {
      return yield* new EventLogStartError({
        reason: "Refused",
        detail: `${engine} cannot hold the log: ${refusals.join("; ")}`
      })
    }

    yield* Upgrade.carryOver(writer, commands.key, time())

    /** Of Redis' clock to this one. */
    let ahead = 0
    let nextDue = Number.POSITIVE_INFINITY
    let suspect: Answer | undefined
    const wake = Effect.unsafeMakeLatch(false)

    const heard = (answer: Answer, seenBefore: number) => {
      ahead = answer.now - now()
      if (answer.nextDue < nextDue) wake.unsafeOpen()
      nextDue = answer.nextDue
      const place = context.mirror()?.place
      const isSame =
        context.mirror()?.epochs.current === answer.epoch && (place === undefined || answer.seq >= seenBefore)
      if (!isSame) suspect = answer
      if (revocations.isBehind(answer)) wake.unsafeOpen()
      context.heard(answer)
    }

    const seen = () => context.mirror()?.place.seq ?? 0
    const call = (connection: Connection.Connection) =>
      Effect.gen(function* () {
        const before = seen()
        const batch = { number: 0, deadline: undefined, elements: [] }
        const said = yield* commands.append(connection, batch, newEpoch(), time())
        if (isRefusal(said)) return yield* refusalOf(said, commands.agreed)
        heard(said, before)
        return said
      })

    /** Calls, and reads the revocations if they are others than before. */
    const callAndHear = Effect.gen(function* () {
      const said = yield* call(writer)
      if (revocations.isBehind(said)) revocations.hear(said, yield* commands.revoked(writer))
      return said
    })

    const rebuild = ({ epoch, id, keyless, seq }: Answer) =>
      Effect.gen(function* () {
        const before = context.mirror()
        const index = before === undefined ? 0 : before.head.index + 1
        const mirror = yield* Bootstrap.read(commands, reader, settings, { epoch, seq, keyless }, index, now())
        context.rebuilt(mirror, id)
        commit.replaced((place) => mirror.epochs.gave(place))
      })

    /** Goes on with the mirror, if what it has is part of the log, or makes another. */
    const synchronise = (answer: Answer) =>
      Effect.gen(function* () {
        suspect = undefined
        const mirror = context.mirror()
        if (mirror === undefined) return yield* rebuild(answer)
        const epochs = new Epochs(yield* commands.epochs(reader))
        if (epochs.current !== mirror.epochs.current) context.epochBegan()
        if (!epochs.gave(mirror.place) || answer.seq < mirror.place.seq) return yield* rebuild(answer)
        mirror.epochs = epochs
        commit.replaced((place) => mirror.epochs.gave(place))
      })

    const count = Math.max(1, Math.min(READ_EVENTS, Math.floor(settings.historyCapacity / 2)))
    const follow = Effect.gen(function* () {
      if (suspect !== undefined) yield* synchronise(suspect)
      const mirror = context.mirror()
      if (mirror === undefined) return
      const { keyless, seq } = mirror.place
      const entries = yield* commands.read(reader, `${seq}-${keyless}`, count, BLOCK, now)
      context.heard()
      const [first] = entries
      if (first === undefined) return
      // Trimmed away, or written by another log: Redis says neither.
      if (first.place.seq !== seq + 1) return yield* Effect.flatMap(call(reader), rebuild)
      if (entries.some(({ place }) => place.epoch !== mirror.epochs.current)) {
        yield* Effect.flatMap(call(reader), synchronise)
        if (context.mirror() !== mirror) return
      }
      context.apply(entries)
      commit.moved()
    })

    const execute = (batch: Batch) =>
      Effect.gen(function* () {
        const began = now()
        const before = seen()
        const isFirst = !batch.sent
        batch.sent = true
        const deadline = time() === undefined ? Math.floor(batch.deadline + ahead) : undefined
        const said = yield* commands
          .append(writer, { number: batch.number, deadline, elements: batch.elements }, newEpoch(), time())
          .pipe(Effect.either)
        if (said._tag === "Left") {
          const failure = said.left
          if (failure.reason === "Replied" && isFirst) batch.sent = false
          if (failure.reason === "Lost" || ELSEWHERE.has(failure.code)) return yield* failure
          commit.refused(batch, failure.message)
          return
        }
        if (isRefusal(said.right)) {
          commit.refused(batch, said.right._tag === "Late" ? "the log was too slow" : "the log refuses this gateway")
          if (said.right._tag !== "Late") return yield* refusalOf(said.right, commands.agreed)
          return
        }
        context.observe(now() - began)
        heard(said.right, before)
        commit.answered(batch, said.right)
      })

    const lookAfter = Effect.gen(function* () {
      wake.unsafeClose()
      const untilDue = Math.max(CALL_SOON, nextDue - (now() + ahead))
      yield* Effect.raceFirst(Effect.sleep(Duration.millis(Math.min(CALL_EVERY, untilDue))), wake.await)
      yield* callAndHear
    })

    yield* synchronise(yield* callAndHear)
    for (const warning of warnings) yield* Effect.logWarning(`${engine}: ${warning} (docs/operations/scale.md)`)
    commit.setOpen(true)
    yield* context.ready
    // The first of them to fail ends all.
    yield* Effect.all(
      [
        Effect.forever(follow),
        Effect.forever(Effect.flatMap(commit.next, execute)),
        Effect.forever(lookAfter),
        Effect.forever(Effect.zipRight(Effect.sleep(CHECK_EVERY), check(writer))),
        writer.lost,
        reader.lost,
        Effect.zipRight(
          context.astray,
          new Connection.RedisFailure({ reason: "Lost", detail: "an append was acknowledged and did not come back" })
        )
      ],
      { concurrency: "unbounded", discard: true }
    )
    return yield* Effect.never
  }).pipe(Effect.ensuring(Effect.sync(() => context.commit.setOpen(false))))
