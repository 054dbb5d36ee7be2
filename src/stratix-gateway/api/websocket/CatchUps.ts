/**
 * Brings those who are behind to the head, step by step: whoever joins late, comes back, or read too slowly.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as CloseCodes from "../../../stratix-core/close-codes.js"
import { type Offset, SYNC, type SyncMessage, type SyncMode } from "../../../stratix-core/stratix-protocol.js"
import * as StatusSyncConfig from "../../StatusSyncConfig.js"
import * as Tracing from "../../Tracing.js"
import type { Audience, Group, Member } from "./Audience.js"
import { endOfTurn } from "./EndOfTurn.js"
import * as EventLog from "./EventLog.js"
import * as Frame from "./Frame.js"
import * as Stamp from "./Stamp.js"

/** Characters of events in one step: small enough that live events never wait long behind it. */
const STEP = 64 * 1024

/** Steps between two turns of the event loop. */
const STEPS_PER_TURN = 16

/** Steps remembered at a time. */
const STEPS_REMEMBERED = 64

/** What the log said, and its events as they are written. */
interface Step {
  readonly result: EventLog.CatchUp
  readonly frames: Buffer
}

/** Counts since the start.
 * @since 0.1.0
 * @category models */
export interface Counts {
  /** Catch-ups that began. */
  readonly begun: Record<SyncMode, number>
  conflations: number
  lost: number
  deliveries: number
  bytes: number
}

/** The catch-ups of an audience.
 * @since 0.1.0
 * @category models */
export interface CatchUps {
  readonly counts: Counts
  /** Brings a member that is away to the head, by and by, and tells a sync client so even if there is nothing to tell. */
  readonly unsafeBegin: (member: Member, cursor: Offset | undefined) => void
  /** The same for one that was interrupted; if its cursor is at the head, it is there at once. */
  readonly unsafeContinue: (member: Member, cursor: Offset | undefined) => void
  /** A member left: its catch-up, if there is one, is over. */
  readonly unsafeAbandon: (member: Member) => void
  /** The head moved: what was remembered does not lead there any more. */
  readonly unsafeHeadMoved: () => void
}

/** Catch-ups until the scope closes.
 * @since 0.1.0
 * @category constructors */
export const make = (
  audience: Audience,
  unsafeHead: () => Offset
): Effect.Effect<CatchUps, never, StatusSyncConfig.StatusSyncConfig | EventLog.EventLog | Stamp.Stamp | Scope.Scope> =>
  Effect.gen(function* () {
    const config = yield* StatusSyncConfig.StatusSyncConfig
    const log = yield* EventLog.EventLog
    const stamp = yield* Stamp.Stamp
    const clock = yield* Effect.clock
    const tracer = yield* Tracing.listening
    // Bound: a member is in it once at the most.
    const behind = yield* Effect.acquireRelease(Queue.unbounded<Member>(), Queue.shutdown)
    // Clients that were live when they all lost their connection come back with the same cursor: a step of one serves all.
    // Bound: STEPS_REMEMBERED; forgotten when the head moves, and when nobody is behind any more.
    const steps = new Map<string, Step>()
    const counts: Counts = {
      begun: { snapshot: 0, resume: 0, conflated: 0 },
      conflations: 0,
      lost: 0,
      deliveries: 0,
      bytes: 0
    }

    /** A catch-up begins, or goes on in another mode than before, which is another catch-up. */
    const begin = (member: Member, mode: SyncMode) => {
      counts.begun[mode]++
      member.catchUps++
      member.catchingUp = true
      if (tracer === undefined) return
      member.span ??= tracer.span(
        Tracing.spans.catchUp,
        Option.none(),
        Context.empty(),
        [],
        clock.unsafeCurrentTimeNanos(),
        "internal",
        { root: true }
      )
      member.span.attribute("stratix.mode", mode)
    }
    const end = (member: Member) => {
      member.catchingUp = false
      const { span } = member
      if (span === undefined) return
      member.span = undefined
      span.attribute("client.address", member.socket.remoteAddress)
      span.attribute("stratix.live", member.state === "live")
      span.attribute("stratix.lost", member.lost)
      span.end(clock.unsafeCurrentTimeNanos(), Exit.void)
    }
    const abandon = (member: Member) => {
      if (member.catchingUp) end(member)
    }
    const goLive = (member: Member) => {
      audience.unsafeGoLive(member)
      abandon(member)
    }

    const later = (member: Member, cursor: Offset | undefined) => {
      member.state = "behind"
      member.cursor = cursor
      if (member.queued) return
      member.queued = true
      Queue.unsafeOffer(behind, member)
    }

    const announcement = (from: Offset | undefined, result: EventLog.CatchUp, more: boolean): Buffer => {
      const { requestId, timestamp } = stamp.unsafeNext()
      const message: SyncMessage = {
        eventType: SYNC,
        payload: {
          mode: result.mode,
          ...(from !== undefined && result.mode !== "snapshot" && { from }),
          to: result.to,
          count: result.entries.length,
          lost: result.lost,
          ...(more && { more: true })
        },
        timestamp,
        requestId
      }
      return Frame.text(JSON.stringify(message))
    }

    const framesOf = (group: Group, entries: ReadonlyArray<EventLog.LogEntry>): Buffer => {
      const texts = entries.map((entry) => EventLog.textOf(entry, group.sync))
      return group.compressed
        ? Buffer.concat(texts.map((text) => Frame.compressedText(text, config.compressionThreshold)))
        : Frame.texts(texts)
    }

    const give = (member: Member, until: Offset, { frames, result }: Step) => {
      const from = member.cursor
      const conflates = result.mode !== "resume" && member.conflateFrom === undefined
      if (conflates && member.joined) {
        if (config.slowPolicy === "close") {
          member.socket.unsafeClose(CloseCodes.TRY_AGAIN_LATER, "fell behind the history")
          return
        }
        counts.conflations++
      }
      if (conflates || !member.catchingUp) begin(member, result.mode)
      if (result.mode !== "resume") member.target = until
      if (result.mode === "snapshot") member.conflateFrom = until
      else if (result.mode === "conflated") member.conflateFrom ??= from
      if (!result.more) {
        member.target = undefined
        member.conflateFrom = undefined
      }
      const live = !result.more && result.to === unsafeHead()
      const written = member.group.sync ? Buffer.concat([announcement(from, result, !live), frames]) : frames
      member.lost += result.lost
      counts.lost += result.lost
      counts.deliveries += result.entries.length
      counts.bytes += written.length
      const unsent = written.length > 0 ? member.socket.unsafeWrite(written) : 0
      if (unsent > config.highWaterMark) audience.unsafeStall(member, result.to)
      else if (live) goLive(member)
      else later(member, result.to)
    }

    const step = (member: Member): Effect.Effect<void> =>
      Effect.suspend(() => {
        member.queued = false
        if (member.state !== "behind") return Effect.void
        const { conflateFrom, cursor, group } = member
        const until = member.target ?? unsafeHead()
        const key = `${group.key}|${cursor ?? ""}|${until}|${conflateFrom ?? ""}`
        const remembered = steps.get(key)
        if (remembered !== undefined) return Effect.sync(() => give(member, until, remembered))
        return log
          .since(cursor, {
            filter: group.filter,
            until,
            maxBytes: STEP,
            neverSnapshot: !group.sync,
            ...(conflateFrom !== undefined && { conflateFrom })
          })
          .pipe(
            Effect.matchEffect({
              onSuccess: (result) =>
                Effect.sync(() => {
                  // It may have left, or have another filter, since the log was asked.
                  if (member.state !== "behind" || member.queued) return
                  if (member.group !== group || member.cursor !== cursor) {
                    later(member, member.cursor)
                    return
                  }
                  const made = { result, frames: framesOf(group, result.entries) }
                  if (steps.size < STEPS_REMEMBERED) steps.set(key, made)
                  give(member, until, made)
                }),
              onFailure: (error) =>
                Effect.zipRight(
                  Effect.logWarning("catch-up failed; the client may come back", error),
                  Effect.sync(() => member.socket.unsafeClose(CloseCodes.TRY_AGAIN_LATER, "catch-up failed"))
                )
            })
          )
      }).pipe(Effect.catchAllCause((cause) => Effect.logError("catch-up failed", cause)))

    yield* Queue.takeBetween(behind, 1, STEPS_PER_TURN).pipe(
      Effect.flatMap(Effect.forEach(step, { concurrency: "unbounded", discard: true })),
      Effect.zipRight(
        Effect.sync(() => {
          if (audience.away.size === audience.stalled) steps.clear()
        })
      ),
      Effect.zipRight(endOfTurn),
      Effect.forever,
      Effect.forkScoped,
      Effect.interruptible
    )

    return {
      counts,
      unsafeBegin: later,
      unsafeContinue: (member, cursor) => {
        if (cursor === unsafeHead() && member.conflateFrom === undefined) goLive(member)
        else later(member, cursor)
      },
      unsafeAbandon: abandon,
      unsafeHeadMoved: () => steps.clear()
    }
  })
