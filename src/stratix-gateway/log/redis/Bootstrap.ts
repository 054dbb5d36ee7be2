/**
 * A mirror of what Redis holds, read while others go on writing.
 *
 * What is newer than the place it begins with is left out: the tail tells it, and brings everything to where it belongs.
 */
import * as Effect from "effect/Effect"
import type { Settings } from "../../config/StatusSyncConfig.js"
import { Mirror } from "../mirror/Mirror.js"
import * as Packed from "../mirror/Packed.js"
import type { Recorded } from "../mirror/Records.js"
import type { Commands } from "./Commands.js"
import type { Connection, RedisFailure } from "./Connection.js"

/** Events of the history in one page: some 300 KB. */
const PAGE = 1000

/** Reads a mirror as of sequence number `seq`, whose indexes come after `index`. Without another mirror before it, they are the sequence numbers. */
export const read = (
  commands: Commands,
  connection: Connection,
  settings: Settings,
  seq: number,
  index: number,
  now: number
): Effect.Effect<Mirror, RedisFailure> =>
  Effect.gen(function* () {
    const latest: Array<Recorded> = []
    yield* commands.scan(connection, "last", (packed) => {
      const recorded = Packed.unpack(packed, now)
      if (recorded.place.seq <= seq) latest.push(recorded)
    })
    const marks: Array<Recorded> = []
    yield* commands.scan(connection, "mark", (marked) => {
      const recorded = Packed.unpack(marked.slice(1), now)
      if (recorded.place.seq > seq) return
      const isDeparture = marked.startsWith("d")
      marks.push(isDeparture ? { ...recorded, effects: { ...recorded.effects, removed: false } } : recorded)
    })
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
    const epochs = yield* commands.epochs(connection)
    const forgotten = yield* commands.forgotten(connection)
    const newest = [...latest, ...marks, ...history].reduce<Recorded["place"] | undefined>(
      (best, { place }) => (best === undefined || place.seq > best.seq ? place : best),
      undefined
    )
    const [oldest] = history
    const epoch = epochs.at(-1)?.epoch ?? ""
    // The place before the first event of the history: its own epoch does not matter, it is never told.
    const after =
      oldest === undefined
        ? { epoch: newest?.epoch ?? epoch, seq, keyless: newest?.keyless ?? 0 }
        : { ...oldest.place, seq: oldest.place.seq - 1 }
    const mirror = new Mirror(settings, { after, index: Math.max(index, after.seq), epochs })
    mirror.restore({ latest, marks, forgotten, history })
    return mirror
  })
