import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as FilterIndex from "../../../src/stratix-gateway/fanout/FilterIndex.js"
import * as Filter from "../../../src/stratix-gateway/log/Filter.js"

describe("an index of filters", () => {
  it.effect("of 10,000 different ones: an event costs by those it concerns", () =>
    Effect.sync(() => {
      const index = FilterIndex.make<number>()
      let looks = 0
      const counted = (agents: ReadonlyArray<string>): Filter.Filter => ({
        ...Filter.fromFields({ agents }),
        get events() {
          looks++
          return undefined
        }
      })
      for (let i = 0; i < 10_000; i++) index.add(counted([`a${i}`, `a${(i + 1) % 10_000}`, `a${(i + 2) % 10_000}`]), i)
      looks = 0
      const found: Array<number> = []
      index.forEach({ tenant: "default", eventType: "stratix:x", agentId: "a5000", commandId: undefined }, (i) =>
        found.push(i)
      )
      assert.sameMembers(found, [4998, 4999, 5000])
      assert.isAtMost(looks, 3)
    })
  )

  it.effect("of many tenants: an event finds those of its own and does not ask the others", () =>
    Effect.sync(() => {
      const index = FilterIndex.make<string>()
      let looks = 0
      const counted = (tenant: string): Filter.Filter => ({
        ...Filter.inTenant(Filter.fromFields({ agents: ["a"] }), tenant),
        get agents() {
          looks++
          return new Set(["a"])
        }
      })
      const filters = Array.from({ length: 1000 }, (_, i) => counted(`t${i}`))
      for (const filter of filters) index.add(filter, filter.tenant)
      const find = (tenant: string) => {
        const found: Array<string> = []
        looks = 0
        index.forEach({ tenant, eventType: "stratix:x", agentId: "a", commandId: undefined }, (of) => found.push(of))
        return found
      }
      assert.deepStrictEqual(find("t7"), ["t7"])
      assert.isAtMost(looks, 2)
      assert.deepStrictEqual(find("default"), [])
      for (const filter of filters) index.remove(filter, filter.tenant)
      assert.deepStrictEqual(find("t7"), [])
    })
  )
})
