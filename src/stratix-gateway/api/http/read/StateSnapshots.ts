/**
 * The state as the body of an answer: made in pieces while it is read, so that its size costs neither memory nor others' time.
 *
 * A snapshot holds the entries of the log themselves. What of them the log has replaced meanwhile is memory of its own, which is why the
 * snapshots that are being read are bounded together.
 */
import type { Socket } from "node:net"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as StatusSyncConfig from "../../../config/StatusSyncConfig.js"
import * as EventLog from "../../../log/EventLog.js"
import type * as Filter from "../../../log/Filter.js"
import * as EventLoop from "../../../runtime/EventLoop.js"
import { monotonicMillis } from "../../../runtime/TimeoutQueues.js"
import * as Refusals from "../../../telemetry/Refusals.js"
import { GzipPieces } from "./GzipPieces.js"

/** Characters of events in one piece: made in about 1 ms. */
const PIECE = 256 * 1024

/** Characters of a snapshot up to which its pieces are kept for others who read it. */
const SHARED = 32 * 1024 * 1024

/** Milliseconds without a piece taken, after which a reader is cut off where others wait for room. */
const PATIENCE = 1000

/** Between two looks whether there is room. */
const LOOK = "50 millis"

interface Reader {
  readonly socket: Socket
  takenAt: number
}

/** The state at one place in the log, under one filter. */
class Snapshot {
  readonly readers = new Set<Reader>()
  readonly size: number
  private readonly begins: Array<number> = []
  private readonly gzip = new GzipPieces()
  private kept: { readonly plain: Array<Buffer | undefined>; readonly gzip: Array<Buffer | undefined> } | undefined

  constructor(
    readonly key: string,
    private readonly latest: EventLog.Latest
  ) {
    let size = 0
    let piece = PIECE
    for (const [index, { json }] of latest.entries.entries()) {
      if (piece >= PIECE) {
        this.begins.push(index)
        piece = 0
      }
      piece += json.length
      size += json.length
    }
    this.size = size
    this.kept = size <= SHARED ? { plain: [], gzip: [] } : undefined
  }

  get head(): string {
    return this.latest.head
  }

  /** Pieces of events, and the one that ends it. */
  get count(): number {
    return this.begins.length + 1
  }

  /** Newer ones are asked for now. */
  keepNoMore(): void {
    this.kept = undefined
  }

  piece(index: number): Buffer {
    const known = this.kept?.plain[index]
    if (known !== undefined) return known
    const made = Buffer.from(this.text(index))
    if (this.kept !== undefined) this.kept.plain[index] = made
    return made
  }

  gzipPiece(index: number): Effect.Effect<Buffer> {
    const known = this.kept?.gzip[index]
    if (known !== undefined) return Effect.succeed(known)
    return Effect.map(this.gzip.piece(index, this.piece(index), index === this.count - 1), (made) => {
      if (this.kept !== undefined) this.kept.gzip[index] = made
      return made
    })
  }

  private text(index: number): string {
    const begin = index === 0 ? `{"head":${JSON.stringify(this.head)},"events":[` : ""
    if (index === this.count - 1) return `${begin}]}`
    const events = this.latest.entries.slice(this.begins[index], this.begins[index + 1])
    return `${begin}${index > 0 ? "," : ""}${events.map(EventLog.withOffset).join()}`
  }
}

/** The state for one reader, until its scope closes, and the place in the log that it is of. */
export type Read = (
  filter: Filter.Filter,
  socket: Socket,
  gzip: boolean
) => Effect.Effect<
  { readonly head: string; readonly body: Stream.Stream<Uint8Array> },
  EventLog.EventLogError,
  Scope.Scope
>

/** Snapshots of a log. */
export const make: Effect.Effect<
  Read,
  never,
  EventLog.EventLog | StatusSyncConfig.StatusSyncConfig | Refusals.Refusals
> = Effect.gen(function* () {
  const log = yield* EventLog.EventLog
  const { latestBytes } = yield* StatusSyncConfig.StatusSyncConfig
  const { recordRefusal } = yield* Refusals.Refusals
  const clock = yield* Effect.clock
  // One piece at a time, for all readers: between two of them the gateway does other work.
  const lane = yield* Effect.makeSemaphore(1)
  const step = EventLoop.makeStep()
  // One looks for room at a time: to look costs as much as a snapshot.
  const door = yield* Effect.makeSemaphore(1)
  // Bound: `latestBytes` characters together, or one alone.
  const snapshots = new Set<Snapshot>()
  let newest: Snapshot | undefined

  const hasRoom = (size: number): boolean => {
    let total = size
    for (const snapshot of snapshots) total += snapshot.size
    return snapshots.size === 0 || total <= latestBytes
  }

  const cutSlow = (): void => {
    const now = monotonicMillis(clock)
    for (const { readers } of snapshots) {
      for (const { socket, takenAt } of readers) {
        if (now - takenAt < PATIENCE || socket.destroyed) continue
        recordRefusal("timeout", "a state that was not read, while others waited for theirs", socket.remoteAddress)
        socket.destroy()
      }
    }
  }

  const leave = (snapshot: Snapshot, reader: Reader) => {
    snapshot.readers.delete(reader)
    if (snapshot.readers.size > 0) return
    snapshots.delete(snapshot)
    if (newest === snapshot) newest = undefined
  }

  /** A snapshot of now, as soon as there is room for one. */
  const join = (filter: Filter.Filter, reader: Reader): Effect.Effect<Snapshot, EventLog.EventLogError> =>
    Effect.gen(function* () {
      while (true) {
        for (const snapshot of snapshots) {
          if (snapshot.key !== filter.key || snapshot.head !== log.head().offset) continue
          snapshot.readers.add(reader)
          return snapshot
        }
        const made = new Snapshot(filter.key, yield* log.latest(filter))
        if (hasRoom(made.size)) {
          made.readers.add(reader)
          snapshots.add(made)
          newest?.keepNoMore()
          newest = made
          return made
        }
        cutSlow()
        yield* Effect.sleep(LOOK)
      }
    })

  return (filter, socket, gzip) =>
    Effect.gen(function* () {
      const reader: Reader = { socket, takenAt: monotonicMillis(clock) }
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          for (const snapshot of snapshots) if (snapshot.readers.has(reader)) leave(snapshot, reader)
        })
      )
      const snapshot = yield* door.withPermits(1)(join(filter, reader))
      const body = Stream.unfoldEffect(0, (index) => {
        if (index === snapshot.count) return Effect.succeedNone
        const make = Effect.suspend(() => {
          reader.takenAt = monotonicMillis(clock)
          return gzip ? snapshot.gzipPiece(index) : Effect.succeed(snapshot.piece(index))
        })
        return Effect.map(lane.withPermits(1)(Effect.zipLeft(make, step)), (piece) =>
          Option.some([piece, index + 1] as const)
        )
      })
      return { head: snapshot.head, body }
    })
})
