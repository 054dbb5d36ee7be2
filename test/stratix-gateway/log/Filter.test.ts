import { assert, describe, it } from "@effect/vitest"
import { Either } from "effect"
import * as Filter from "../../../src/stratix-gateway/log/Filter.js"

const event = (eventType: string, agentId?: string, commandId?: string): Filter.Filterable => ({
  tenant: "default",
  eventType: `stratix:${eventType}`,
  agentId,
  commandId
})

describe("a filter", () => {
  it("of all lets everything of its tenant through, one of none nothing", () => {
    for (const [filter, through] of [
      [Filter.all, true],
      [Filter.none, false]
    ] as const) {
      assert.strictEqual(Filter.matches(filter, event("x")), through)
      assert.strictEqual(Filter.matches(filter, event("agent_status_update", "a", "c")), through)
      assert.isFalse(Filter.matches(filter, { ...event("x"), tenant: "other" }))
    }
  })

  it("holds each of its fields against an event, and wants all of them", () => {
    const passes = (fields: Parameters<typeof Filter.fromFields>[0], of: Filter.Filterable) =>
      Filter.matches(Filter.fromFields(fields), of)
    assert.isTrue(passes({ agents: ["a", "b"] }, event("x", "b")))
    assert.isFalse(passes({ agents: ["a", "b"] }, event("x", "c")))
    assert.isFalse(passes({ agents: ["a", "undefined"] }, event("x")))
    assert.isFalse(passes({ agents: [] }, event("x", "a")))
    assert.isTrue(passes({ commands: ["c"] }, event("x", "a", "c")))
    assert.isFalse(passes({ commands: ["c"] }, event("x", "c", "d")))
    assert.isFalse(passes({ commands: ["c"] }, event("x", "c")))
    assert.isTrue(passes({ agents: ["a"], commands: ["c"], events: ["x"] }, event("x", "a", "c")))
    assert.isFalse(passes({ agents: ["a"], commands: ["c"], events: ["x"] }, event("y", "a", "c")))
    assert.isFalse(passes({ agents: ["a"], commands: ["c"] }, event("x", "b", "c")))
    assert.isFalse(passes({ agents: ["a"], commands: ["c"] }, event("x", "a", "d")))
    assert.isFalse(passes({ events: [] }, event("x")))
  })

  it("of a type lets the removals through that end its keys", () => {
    const through = (...events: ReadonlyArray<string>) => {
      const filter = Filter.fromFields({ events })
      const types = ["agent_status_update", "agent_create", "agent_remove", "command_status_update", "command_remove"]
      const passed = types.filter((type) => Filter.matches(filter, event(type)))
      // What it is indexed by is what it lets through.
      const admitted = Filter.admittedTypes(filter.events ?? new Set())
      assert.sameMembers(
        [...admitted],
        passed.map((type) => `stratix:${type}`)
      )
      return passed
    }
    assert.deepStrictEqual(through("agent_status_update"), ["agent_status_update", "agent_remove"])
    assert.deepStrictEqual(through("agent_create"), ["agent_create", "agent_remove"])
    assert.deepStrictEqual(through("command_status_update"), ["command_status_update", "command_remove"])
    assert.deepStrictEqual(through("agent_remove"), ["agent_remove"])
    assert.deepStrictEqual(through("command_remove"), ["command_remove"])
    assert.deepStrictEqual(through(), [])
  })

  it("knows whether an event without a key could pass", () => {
    const keyed = ["agent_status_update", "command_status_update", "agent_create", "agent_remove", "command_remove"]
    assert.isTrue(Filter.admitsKeyless(Filter.all))
    assert.isFalse(Filter.admitsKeyless(Filter.fromFields({ events: keyed })))
    assert.isFalse(Filter.admitsKeyless(Filter.none))
    assert.isTrue(Filter.admitsKeyless(Filter.fromFields({ events: [...keyed, "note"] })))
    assert.isTrue(Filter.admitsKeyless(Filter.fromFields({ agents: ["a"] })))
  })

  it("names its types in full or without their prefix", () => {
    assert.strictEqual(Filter.eventTypeName("x"), "stratix:x")
    assert.strictEqual(Filter.eventTypeName("stratix:x"), "stratix:x")
    assert.deepStrictEqual([...(Filter.fromFields({ events: ["x", "stratix:x"] }).events ?? [])], ["stratix:x"])
  })
})

describe("fields that limit nothing", () => {
  it("are the one filter of all", () => {
    assert.strictEqual(Filter.fromFields({}), Filter.all)
  })
})

describe("the key of a filter", () => {
  const key = (fields: Parameters<typeof Filter.fromFields>[0]) => Filter.fromFields(fields).key
  it("is equal exactly for equal filters", () => {
    assert.strictEqual(key({}), "")
    assert.strictEqual(key({ agents: ["b", "a", "b"] }), key({ agents: ["a", "b"] }))
    const different = [
      {},
      { agents: [] },
      { commands: [] },
      { events: [] },
      { agents: ["a"] },
      { commands: ["a"] },
      { events: ["a"] },
      { agents: ["a"], commands: ["a"] },
      { agents: ["a", "b"] },
      { agents: ["a,b"] }
    ]
    assert.strictEqual(new Set(different.map(key)).size, different.length)
    assert.notStrictEqual(key({ agents: ["a"] }), Filter.inTenant(Filter.fromFields({ agents: ["a"] }), "b").key)
  })

  it("stays short, however many values there are, and is still of its own", () => {
    // 128 characters, of which nine are of the array.
    const longest = "a".repeat(128 - '[0,[""],0]'.length)
    assert.strictEqual(key({ agents: [longest] }), `[0,["${longest}"],0]`)
    const digest = key({ agents: [`${longest}a`] })
    assert.match(digest, /^[\w-]{43}$/)
    assert.notStrictEqual(key({ agents: [`${longest}b`] }), digest)
  })
})

describe("the size of a filter", () => {
  it("is the number of its values; its weight is by their characters, and what holds them", () => {
    const filter = Filter.fromFields({ agents: ["a", "bb"], commands: ["ccc"], events: ["stratix:x"] })
    assert.deepStrictEqual([Filter.size(filter), Filter.size(Filter.all)], [4, 0])
    assert.deepStrictEqual([filter.weight, Filter.all.weight], [1 + 2 + 3 + 9 + 4 * 128, 0])
    for (const fields of [{ agents: ["a"] }, { commands: ["a"] }, { events: ["stratix:x"] }]) {
      assert.strictEqual(Filter.size(Filter.fromFields(fields)), 1)
      assert.deepStrictEqual(Filter.toFields(Filter.fromFields(fields)), fields)
    }
    assert.deepStrictEqual(Filter.toFields(Filter.all), {})
  })
})

describe("two filters together", () => {
  it("let through what both do", () => {
    const [agents, commands] = [Filter.fromFields({ agents: ["b", "a"] }), Filter.fromFields({ commands: ["c"] })]
    assert.strictEqual(Filter.intersect(Filter.all, agents), agents)
    assert.strictEqual(Filter.intersect(agents, Filter.all), agents)
    const events = Filter.fromFields({ events: ["x"] })
    for (const one of [agents, commands, events]) assert.deepStrictEqual(Filter.intersect(one, one), one)
    assert.deepStrictEqual(Filter.intersect(Filter.all, events), events)
    assert.deepStrictEqual(Filter.intersect(commands, Filter.all), commands)
    const three = { agents: ["a", "b"], commands: ["c"], events: ["stratix:x"] }
    assert.deepStrictEqual(
      Filter.toFields(Filter.intersect(Filter.intersect(agents, commands), events)),
      Filter.toFields(Filter.fromFields(three))
    )
    assert.deepStrictEqual(
      Filter.intersect(agents, Filter.fromFields({ agents: ["c", "b"] })),
      Filter.fromFields({ agents: ["b"] })
    )
    assert.deepStrictEqual(
      Filter.intersect(agents, Filter.fromFields({ agents: ["c"] })),
      Filter.fromFields({ agents: [] })
    )
  })

  it("are a filter of their tenant, and of nothing if they have two", () => {
    const [one, other] = [Filter.inTenant(Filter.fromFields({ agents: ["a"] }), "t"), Filter.inTenant(Filter.all, "t")]
    assert.deepStrictEqual(Filter.intersect(one, other), one)
    assert.deepStrictEqual(
      Filter.intersect(one, Filter.inTenant(Filter.fromFields({ commands: ["c"] }), "t")),
      Filter.inTenant(Filter.fromFields({ agents: ["a"], commands: ["c"] }), "t")
    )
    assert.deepStrictEqual(Filter.intersect(one, Filter.all), Filter.inTenant(Filter.none, "t"))
    assert.strictEqual(Filter.inTenant(one, "t"), one)
  })
})

describe("the query of an upgrade", () => {
  const read = (query: string) => Either.getOrThrow(Filter.fromQuery(query))
  const refused = (query: string) => Either.getOrThrow(Either.flip(Filter.fromQuery(query)))

  it("asks for everything where it says nothing, or what is not known", () => {
    for (const query of ["", "x", "x=1&y", "events_=a", "=a"])
      assert.deepStrictEqual(read(query), {
        filter: Filter.all,
        snapshot: false,
        since: undefined,
        token: undefined,
        tenant: undefined
      })
  })

  it("names values with commas between them, each percent-encoded for itself", () => {
    assert.deepStrictEqual(
      read("agents=a,b%2Cc,d+e&events=x,stratix:y&commands=c=d").filter,
      Filter.fromFields({ agents: ["a", "b,c", "d e"], events: ["x", "y"], commands: ["c=d"] })
    )
    for (const name of ["agents", "events", "commands"]) {
      assert.match(refused(`${name}=a&${name}=b`), new RegExp(`^"${name}" is there twice`))
      assert.match(refused(`${name}=a,%zz`), new RegExp(`^"${name}" has a broken percent-encoding: "%zz"`))
      for (const empty of ["", "=", "=a,", "=,a"])
        assert.match(refused(name + empty), new RegExp(`^"${name}" has an empty value`))
    }
  })

  it("has values of at most 256 characters, a type with its prefix", () => {
    const long = (characters: number) => "a".repeat(characters)
    assert.strictEqual(Filter.size(read(`agents=${long(256)}`).filter), 1)
    assert.match(refused(`agents=${long(257)}`), /^"agents" has a value of more than 256 characters/)
    assert.match(refused(`commands=${long(257)}`), /^"commands" has a value/)
    assert.strictEqual(Filter.size(read(`events=${long(256 - "stratix:".length)}`).filter), 1)
    assert.match(refused(`events=${long(257 - "stratix:".length)}`), /^"events" has a value/)
  })

  it("says true or false of the snapshot, and nothing else", () => {
    assert.deepStrictEqual([read("snapshot=true").snapshot, read("snapshot=false").snapshot], [true, false])
    assert.strictEqual(refused("snapshot=1"), '"snapshot" must be true or false, got "1"')
    assert.strictEqual(refused("snapshot"), '"snapshot" must be true or false, got ""')
  })

  it("names a place, a token and a tenant, none of them empty", () => {
    assert.deepInclude(read("since=e-1%2D0&token=t%20u&tenant=acme"), {
      since: "e-1-0",
      token: "t u",
      tenant: "acme"
    })
    assert.deepInclude(read("since=a"), { since: "a", token: undefined })
    assert.deepInclude(read("token=a"), { since: undefined, token: "a" })
    for (const name of ["since", "token", "tenant"])
      for (const value of ["", "=", "=%zz"])
        assert.strictEqual(refused(name + value), `"${name}" must not be empty and must be percent-encoded well`)
    assert.match(refused("tenant=a&tenant=b"), /^"tenant" is there twice/)
    assert.match(refused("tenant&tenant=b"), /^"tenant" is there twice/)
    assert.strictEqual(read("tenants=a&xtenant=b").tenant, undefined)
    assert.deepStrictEqual(Filter.tenantIn(""), Either.right(undefined))
  })
})
