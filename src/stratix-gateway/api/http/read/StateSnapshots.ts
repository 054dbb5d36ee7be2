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

/** Characters of events in one piece: made in about 1 ms, and in a few where a virtual machine gets its memory from its host. */
const PIECE = 128 * 1024

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

/** How a state is cut: where its pieces begin, and the characters of them all. */
interface Pieces {
  readonly begins: ReadonlyArray<number>
  readonly size: number
}

const cut = ({ entries }: EventLog.Latest): Effect.Effect<Pieces> =>
  Effect.gen(function* () {
    const begins: Array<number> = []
    let size = 0
    let piece = PIECE
    for (let index = 0; index < entries.length; index++) {
      if (piece >= PIECE) {
        begins.push(index)
        piece = 0
        yield* EventLoop.step
      }
      const length = entries[index]?.json.length ?? 0
      piece += length
      size += length
    }
    return { begins, size }
  })

/** The state at one place in the log, under one filter. */
class Snapshot {
  readonly readers = new Set<Reader>()
  readonly size: number
  private readonly begins: ReadonlyArray<number>
  private readonly gzip = new GzipPieces()
  private kept: { readonly plain: Array<Buffer | undefined>; readonly gzip: Array<Buffer | undefined> } | undefined

  constructor(
    readonly key: string,
    /** The log's index when it was taken, or an earlier one. */
    readonly index: number,
    private readonly latest: EventLog.Latest,
    { begins, size }: Pieces
  ) {
    this.begins = begins
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

  /** Whether one of its readers was not cut off. */
  get isRead(): boolean {
    for (const { socket } of this.readers) if (!socket.destroyed) return true
    return false
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
  // One snapshot is made at a time; those who wait for it share it.
  const door = yield* Effect.makeSemaphore(1)
  // Bound: `latestBytes` characters together, or one alone; and the one that waits for room.
  const snapshots = new Set<Snapshot>()
  let newest: Snapshot | undefined

  const hasRoom = (size: number): boolean => {
    let held = 0
    for (const snapshot of snapshots) if (snapshot.isRead) held += snapshot.size
    return held === 0 || held + size <= latestBytes
  }

  /** Cuts off the reader that has waited longest: one by one, as a broken answer costs a millisecond, and no more of them than must be. */
  const cutSlowest = (): boolean => {
    const patience = monotonicMillis(clock) - PATIENCE
    let slowest: Reader | undefined
    for (const { readers } of snapshots) {
      for (const reader of readers) {
        if (reader.takenAt > (slowest?.takenAt ?? patience) || reader.socket.destroyed) continue
        slowest = reader
      }
    }
    if (slowest === undefined) return false
    const { socket } = slowest
    recordRefusal("timeout", "a state that was not read, while others waited for theirs", socket.remoteAddress)
    socket.destroy()
    return true
  }

  const leave = (snapshot: Snapshot, reader: Reader) => {
    snapshot.readers.delete(reader)
    if (snapshot.readers.size > 0) return
    snapshots.delete(snapshot)
    if (newest === snapshot) newest = undefined
  }

  /** A snapshot of the moment when it was asked for, or later, as soon as there is room for it. */
  const join = (
    filter: Filter.Filter,
    reader: Reader,
    asked: number
  ): Effect.Effect<Snapshot, EventLog.EventLogError> =>
    Effect.gen(function* () {
      for (const snapshot of snapshots) {
        if (snapshot.key !== filter.key || snapshot.index < asked) continue
        snapshot.readers.add(reader)
        return snapshot
      }
      const { index } = log.head()
      const latest = yield* log.latest(filter, EventLoop.step)
      const made = new Snapshot(filter.key, index, latest, yield* cut(latest))
      while (!hasRoom(made.size)) {
        yield* cutSlowest() ? EventLoop.nextTurn : Effect.sleep(LOOK)
      }
      made.readers.add(reader)
      snapshots.add(made)
      newest?.keepNoMore()
      newest = made
      return made
    })

  return (filter, socket, gzip) =>
    Effect.gen(function* () {
      const reader: Reader = { socket, takenAt: monotonicMillis(clock) }
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          for (const snapshot of snapshots) if (snapshot.readers.has(reader)) leave(snapshot, reader)
        })
      )
      const snapshot = yield* door.withPermits(1)(join(filter, reader, log.head().index))
      const body = Stream.unfoldEffect(0, (index) => {
        if (index === snapshot.count) return Effect.succeedNone
        const make = Effect.suspend(() => {
          reader.takenAt = monotonicMillis(clock)
          return gzip ? snapshot.gzipPiece(index) : Effect.succeed(snapshot.piece(index))
        })
        return Effect.map(lane.withPermits(1)(Effect.zipLeft(make, EventLoop.step)), (piece) =>
          Option.some([piece, index + 1] as const)
        )
      })
      return { head: snapshot.head, body }
    })
})
