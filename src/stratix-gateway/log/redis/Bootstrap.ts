/**
 * A mirror of what Redis holds, read while others go on writing.
 *
 * What is newer than the place it begins with is left out: the tail tells it, and brings everything to where it belongs.
 */
import * as Effect from "effect/Effect"
import type { Settings } from "../../config/StatusSyncConfig.js"
import type { Place } from "../mirror/Epochs.js"
import { Mirror } from "../mirror/Mirror.js"
import * as Packed from "../mirror/Packed.js"
import type { Recorded } from "../mirror/Records.js"
import type { Commands } from "./Commands.js"
import type { Connection, RedisFailure } from "./Connection.js"

/** Events of the history in one page: some 300 KB. */
const PAGE = 1000

/** Reads a mirror as of a place, whose indexes come after `index`. Without another mirror before it, they are the sequence numbers. */
export const read = (
  commands: Commands,
  connection: Connection,
  settings: Settings,
  until: Place,
  index: number,
  now: number
): Effect.Effect<Mirror, RedisFailure> =>
  Effect.gen(function* () {
    const { seq } = until
    const epochs = yield* commands.epochs(connection)
    const history: Array<Recorded> = []
    let from = String(Math.max(1, seq - settings.historyCapacity + 1))
    while (true) {
      const page = yield* commands.range(connection, from, seq, PAGE, now)
      for (const recorded of page) {
        const previous = history.at(-1)
        // The oldest were trimmed between two pages.
        if (previous !== undefined && recorded.place.seq !== previous.place.seq + 1) history.length = 0
        history.push(recorded)
      }
      const last = page.at(-1)
      if (last === undefined || page.length < PAGE) break
      from = `(${last.place.seq}-${last.place.keyless}`
    }
    const [oldest] = history
    // The place before the first event of the history: its own epoch does not matter, it is never told.
    const after = oldest === undefined ? until : { ...oldest.place, seq: oldest.place.seq - 1 }
    const mirror = new Mirror(settings, { after, index: Math.max(index, after.seq), epochs })
    const restoration = mirror.restoring(history)
    yield* commands.scan(connection, "last", (packed) => {
      if (Packed.seqOf(packed) <= seq) restoration.state(Packed.unpack(packed, now))
    })
    yield* commands.scan(connection, "mark", (marked) => {
      const recorded = Packed.unpack(marked.slice(1), now)
      if (recorded.place.seq > seq) return
      const isDeparture = marked.startsWith("d")
      restoration.mark(isDeparture ? { ...recorded, effects: { ...recorded.effects, removed: false } } : recorded)
    })
    // After the marks: one that was forgotten meanwhile is missing among them.
    restoration.done(yield* commands.forgotten(connection))
    return mirror
  })
