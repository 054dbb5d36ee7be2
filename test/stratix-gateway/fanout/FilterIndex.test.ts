import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as FilterIndex from "../../../src/stratix-gateway/fanout/FilterIndex.js"
import * as Filter from "../../../src/stratix-gateway/log/Filter.js"

const name = fc.constantFrom("a", "b", "c")
const names = fc.option(fc.array(name, { maxLength: 3 }), { nil: undefined })
const filter = fc.record({ events: names, agents: names, commands: names }).map(({ agents, commands, events }) =>
  Filter.fromFields({
    ...(events && { events }),
    ...(agents && { agents }),
    ...(commands && { commands })
  })
)
const event = fc.record({
  eventType: name.map(Filter.eventTypeName),
  agentId: fc.option(name, { nil: undefined }),
  commandId: fc.option(name, { nil: undefined })
})

describe("the index of filters", () => {
  it("finds each value that stays, once, if its filter lets the event through", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(filter, fc.boolean()), { maxLength: 12 }), event, (filters, asked) => {
        const index = FilterIndex.make<number>()
        filters.forEach(([one], value) => index.add(one, value))
        filters.forEach(([one, leaves], value) => {
          if (leaves) index.remove(one, value)
        })
        const found: Array<number> = []
        index.forEach(asked, (value) => found.push(value))
        const expected = filters.flatMap(([one, leaves], value) =>
          !leaves && Filter.matches(one, asked) ? [value] : []
        )
        assert.deepStrictEqual(
          found.sort((a, b) => a - b),
          expected
        )
      })
    )
  })
})

describe("a large filter", () => {
  const large = (seed: string) =>
    Filter.fromFields({ agents: Array.from({ length: 1000 }, (_, n) => `${seed}-${n}`.padEnd(58, "x")) })

  it("has a short key of its own, and counts towards what its connection may leave unread", () => {
    assert.isBelow(large("a").key.length, 64)
    assert.strictEqual(large("a").key, large("a").key)
    assert.notStrictEqual(large("a").key, large("b").key)
    assert.strictEqual(large("a").weight, 1000 * (58 + 128))
  })
})
