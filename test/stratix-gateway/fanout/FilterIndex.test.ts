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

  const filters: ReadonlyArray<Filter.Filter> = [
    Filter.all,
    Filter.none,
    Filter.fromFields({ events: ["agent_status_update"] }),
    Filter.fromFields({ events: ["agent_status_update", "x"] }),
    Filter.fromFields({ agents: ["a"] }),
    Filter.fromFields({ agents: ["a", "b"] }),
    Filter.fromFields({ agents: ["a"], events: ["x"] }),
    Filter.fromFields({ commands: ["c"] }),
    Filter.fromFields({ commands: ["c", "d"], agents: ["a"] }),
    Filter.fromFields({ commands: ["d"], events: ["x"] }),
    Filter.inTenant(Filter.all, "other"),
    Filter.inTenant(Filter.fromFields({ agents: ["a"] }), "other")
  ]
  const events: ReadonlyArray<Filter.Filterable> = ["default", "other", "third"].flatMap((tenant) =>
    ["stratix:agent_status_update", "stratix:agent_remove", "stratix:x"].flatMap((eventType) =>
      ["a", "b", undefined].flatMap((agentId) =>
        ["c", "d", undefined].map((commandId) => ({ tenant, eventType, agentId, commandId }))
      )
    )
  )
  /** What it finds for each event, beside what the filters say by themselves. */
  const agrees = (index: FilterIndex.FilterIndex<number>, present: ReadonlyArray<number>) => {
    for (const event of events) {
      const found: Array<number> = []
      index.forEach(event, (value) => found.push(value))
      assert.deepStrictEqual(
        found.toSorted((a, b) => a - b),
        present.filter((i) => Filter.matches(filters[i] ?? Filter.none, event))
      )
    }
  }

  it("finds exactly the filters that let an event through, each once, whichever others come and go", () => {
    const index = FilterIndex.make<number>()
    let present: ReadonlyArray<number> = []
    const add = (i: number) => {
      index.add(filters[i] ?? Filter.none, i)
      present = [...present, i].toSorted((a, b) => a - b)
      agrees(index, present)
    }
    const remove = (i: number) => {
      index.remove(filters[i] ?? Filter.none, i)
      present = present.filter((other) => other !== i)
      agrees(index, present)
    }
    filters.forEach((_, i) => {
      add(i)
    })
    filters.forEach((_, i) => {
      remove(i)
      add(i)
    })
    filters.forEach((_, i) => {
      remove(i)
    })
  })

  it("holds nothing of filters that have left", () => {
    const index = FilterIndex.make<number>()
    const add = (i: number) => index.add(filters[i] ?? Filter.none, i)
    const remove = (i: number) => index.remove(filters[i] ?? Filter.none, i)
    assert.strictEqual(index.size(), 0)
    for (const i of filters.keys()) {
      add(i)
      assert.isAbove(index.size(), 0)
      remove(i)
      assert.strictEqual(index.size(), 0)
    }
    index.add(Filter.fromFields({ agents: ["a", "b"] }), 5)
    // Its tenant, itself, and its two names.
    assert.strictEqual(index.size(), 4)
    index.remove(Filter.fromFields({ agents: ["a", "b"] }), 5)
    for (const i of filters.keys()) add(i)
    const full = index.size()
    for (const i of filters.keys()) {
      remove(i)
      add(i)
      assert.strictEqual(index.size(), full)
    }
    for (const i of filters.keys()) remove(i)
    assert.strictEqual(index.size(), 0)
  })

  it("takes the removal of what it does not hold for nothing", () => {
    const index = FilterIndex.make<number>()
    index.remove(Filter.all, 0)
    index.add(Filter.fromFields({ agents: ["a"] }), 4)
    index.remove(Filter.fromFields({ agents: ["a"] }), 5)
    index.remove(Filter.all, 0)
    agrees(index, [4])
  })

  /** Which values are found for an event of agent `a`, and how often the filter of these fields is asked for that. */
  const asking = (fields: Parameters<typeof Filter.fromFields>[0], commandId: string | undefined) => {
    const index = FilterIndex.make<number>()
    let looks = 0
    index.add(
      {
        ...Filter.fromFields(fields),
        get events() {
          looks++
          return undefined
        }
      },
      0
    )
    looks = 0
    const found: Array<number> = []
    index.forEach({ tenant: "default", eventType: "stratix:x", agentId: "a", commandId }, (value) => found.push(value))
    return { found, looks }
  }

  it("asks a filter of commands and agents only about events of its commands", () => {
    const fields = { agents: ["a"], commands: ["c"] }
    assert.deepStrictEqual(asking(fields, "c"), { found: [0], looks: 1 })
    assert.deepStrictEqual(asking(fields, "d"), { found: [], looks: 0 })
    assert.deepStrictEqual(asking(fields, undefined), { found: [], looks: 0 })
  })

  it("does not ask a filter of one field that it found under this field", () => {
    assert.deepStrictEqual(asking({ agents: ["a"] }, "c"), { found: [0], looks: 0 })
    assert.deepStrictEqual(asking({ commands: ["c"] }, "c"), { found: [0], looks: 0 })
  })
})
