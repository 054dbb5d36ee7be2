/** Law 9: a gateway that has no contact with its log is not the truth. */
import { assert, describe, it } from "vitest"
import * as Types from "../../../src/stratix-core/event-types.js"
import { BEGIN, live, type Observed, World } from "../support/World.js"

const beat = (world: World, staleMs?: number) => world.socket.message(Types.HEARTBEAT, { head: "head", staleMs })

describe("a gateway that is cut off from its log", () => {
  it("is not called live: the client says so, and since when", () => {
    const world = new World()
    const observed = live(world)
    world.advance(1000)
    world.socket.heartbeat()
    world.advance(4000)
    beat(world, 2500)
    assert.deepStrictEqual(observed.client.freshness, { _tag: "cut-off", since: BEGIN + 1000 })
    world.advance(4000)
    beat(world, 6500)
    assert.deepStrictEqual(observed.freshness.at(-1), { _tag: "cut-off", since: BEGIN + 1000 })
  })

  it("is live while it was in contact less than the bound ago, and again at the first heartbeat without the word", () => {
    const world = new World()
    const observed = live(world)
    beat(world, 2000)
    assert.strictEqual(observed.tag, "live")
    beat(world, 2001)
    assert.strictEqual(observed.tag, "cut-off")
    beat(world)
    assert.strictEqual(observed.tag, "live")
  })

  const joined = (): [World, Observed] => {
    const world = new World()
    const observed = world.connect()
    world.socket.protocol = Types.SYNC_PROTOCOL
    world.socket.message(Types.CONNECTED, { message: "", connectionId: "c", head: "o1", epoch: "e", staleMs: 9000 })
    return [world, observed]
  }

  it("may say so in its welcome; what it knew before does not make it live", () => {
    const [world, observed] = joined()
    world.socket.sync("snapshot", "o1", 1)
    world.socket.agent("a", "busy", "o1")
    assert.strictEqual(observed.tag, "cut-off")
    // What is published now comes from the log.
    world.socket.agent("a", "online", "o2")
    assert.strictEqual(observed.tag, "live")
  })
})
