import { assert, describe, it } from "@effect/vitest"
import { defaults, type Settings } from "../../../../src/stratix-gateway/config/StatusSyncConfig.js"
import type { Draft } from "../../../../src/stratix-gateway/log/EventLog.js"
import { Mirror } from "../../../../src/stratix-gateway/log/mirror/Mirror.js"
import { AT_ONCE, OwnEvents } from "../../../../src/stratix-gateway/log/mirror/OwnEvents.js"
import { emptyLog } from "../../../../src/stratix-gateway/log/mirror/Records.js"
import { draft } from "../../../support/draft.js"

const WALL = 1_000_000

/** A log of one process: what is appended by it, and what it appends itself. */
const world = (settings: Partial<Settings> = {}) => {
  const mirror = new Mirror({ ...defaults, ...settings }, emptyLog("e"))
  const append = (next: Draft, time: number) =>
    mirror.apply(next, { epoch: "e", seq: mirror.place.seq + 1, keyless: 0 }, time)
  return { append, mirror, own: new OwnEvents(mirror, append, () => WALL) }
}
const leased = (agentId: string, millis: number) =>
  draft({ agentId, key: `agent:${agentId}`, lease: { millis, endCommands: false } })

describe("the events of the log's own", () => {
  it("are appended when they are due, all of them, each with a request id of its own", () => {
    const { append, mirror, own } = world()
    assert.strictEqual(own.nextAt, Number.POSITIVE_INFINITY)
    for (const agentId of ["a", "b"]) append(leased(agentId, 500), 0)
    append(leased("c", 900), 0)
    assert.deepStrictEqual(own.due(499), [])
    assert.strictEqual(own.nextAt, 500)
    const entries = own.due(500)
    assert.deepStrictEqual(
      entries.map(({ agentId, index, stamp }) => ({ agentId, index, stamp })),
      [
        { agentId: "a", index: 4, stamp: { timestamp: WALL, requestId: "stratix-req-1000000-log-4" } },
        { agentId: "b", index: 5, stamp: { timestamp: WALL, requestId: "stratix-req-1000000-log-5" } }
      ]
    )
    assert.strictEqual(mirror.head.index, 5)
    assert.strictEqual(own.nextAt, 900)
  })

  it("too many at a time are appended in parts, and the next part is due at once, however late that is", () => {
    const { append, mirror, own } = world()
    for (let i = 0; i < AT_ONCE + 2; i++) append(leased(`a-${i}`, 500), 0)
    append(leased("later", 3000), 0)
    own.due(0)
    assert.strictEqual(own.due(500).length, AT_ONCE)
    assert.strictEqual(own.nextAt, 500)
    // As much later as others took for their turn, which is no pause of the process.
    assert.strictEqual(own.due(1500).length, 2)
    assert.strictEqual(own.nextAt, 3000)
    assert.strictEqual(mirror.stats().leases, 1)
  })

  it("as many as were published leave at once, so that a limit is kept while more comes than fits", () => {
    const { append, mirror, own } = world({ latestCapacity: 10 })
    const published = AT_ONCE + 500
    for (let i = 0; i < published; i++) append(draft({ agentId: `a-${i}`, key: `agent:a-${i}` }), 0)
    assert.strictEqual(own.due(0, published).length, published - 10)
    assert.strictEqual(mirror.stats().keys, 10)
    assert.strictEqual(own.nextAt, Number.POSITIVE_INFINITY)
  })

  it("a second after they were due are those of a process that did not run: leases run once more", () => {
    const { append, own } = world()
    append(leased("a", 500), 0)
    own.due(0)
    assert.deepStrictEqual(own.due(1501), [])
    assert.strictEqual(own.nextAt, 2001)
    // A second late is only late.
    assert.strictEqual(own.due(3001).length, 1)
  })

  it("that are put off wait for the next look, and an outage counts for no lease", () => {
    const { append, own } = world()
    append(leased("a", 500), 0)
    own.due(0)
    own.defer(500)
    assert.strictEqual(own.nextAt, Number.POSITIVE_INFINITY)
    assert.strictEqual(own.due(5000).length, 1)
    append(leased("b", 500), 5000)
    own.due(5000)
    own.defer(6501)
    assert.deepStrictEqual(own.due(7000), [])
    assert.strictEqual(own.nextAt, 7001)
  })
})
