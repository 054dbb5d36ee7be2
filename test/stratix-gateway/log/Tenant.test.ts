import { assert, describe, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import { Filter } from "../../../src/stratix-gateway/index.js"
import { Tenant } from "../../../src/stratix-gateway/internals.js"
import { unscoped } from "../../../src/stratix-gateway/log/Tenant.js"

const runs = { fastCheck: { numRuns: Number(process.env["STRATIX_PROPERTY_RUNS"] ?? 300) } }

const name = fc.oneof(
  fc.constantFrom("default", "a", "__proto__", "constructor", "@", "@default", "a:agent", ".", "-", "default@"),
  fc.stringMatching(/^[\w.:@-]{1,8}$/)
)
/** Made of what scoped texts are made of, so that a forgery would be found. */
const text = fc
  .array(fc.constantFrom("@", "/", "a", "default", "agent:", "command:", "@default/", "@a/", "", "é", "\n", "|"), {
    maxLength: 6
  })
  .map((parts) => parts.join(""))

describe("the names of tenants", () => {
  it("are letters, digits, and what separates nothing", () => {
    for (const good of ["a", "acme", "__proto__", "org_1:eu", "user@example.com", "a".repeat(256)])
      assert.isTrue(Tenant.isName(good), good)
    for (const bad of ["", "a/b", "a b", "a,b", "a\n", "a|b", "é", "a".repeat(257), "a\u0000"])
      assert.isFalse(Tenant.isName(bad), JSON.stringify(bad))
  })
})

describe("scoped texts", () => {
  it.prop(
    "of different tenants, or of different texts, are never equal",
    [name, text, name, text],
    ([t, x, u, y]) => {
      assert.strictEqual(Tenant.scoped(t, x) === Tenant.scoped(u, y), t === u && x === y)
    },
    runs
  )

  it.prop(
    "tell their tenant and their text",
    [name, text],
    ([tenant, of]) => {
      assert.deepStrictEqual(unscoped(Tenant.scoped(tenant, of)), { tenant, text: of })
    },
    runs
  )

  it("of the default tenant stand as they are", () => {
    for (const key of ["agent:a", "command:cmd-1", "agent-info:a", ""])
      assert.strictEqual(Tenant.scoped("default", key), key)
  })
})

describe("a filter", () => {
  const fields = fc.record(
    {
      events: fc.array(fc.constantFrom("agent_status_update", "command_status_update"), { maxLength: 2 }),
      agents: fc.array(fc.constantFrom("a", "@a/", "@b/[0]", "b"), { maxLength: 2 })
    },
    { requiredKeys: [] }
  )

  it.prop(
    "of one tenant is none of another, in its key as in what it lets through",
    [name, fields, name],
    ([t, f, u]) => {
      const one = Filter.inTenant(Filter.fromFields(f), t)
      const other = Filter.inTenant(one, u)
      assert.strictEqual(one.key === other.key, t === u)
      assert.deepStrictEqual(Filter.inTenant(other, t), one)
      const event = { tenant: u, eventType: "stratix:agent_status_update", agentId: "a", commandId: undefined }
      if (t !== u) assert.isFalse(Filter.matches(one, event))
      assert.strictEqual(
        Filter.matches(other, event),
        Filter.matches(Filter.fromFields(f), { ...event, tenant: "default" })
      )
    },
    runs
  )

  it("lets nothing through that is of two tenants", () => {
    const both = Filter.intersect(Filter.inTenant(Filter.all, "a"), Filter.inTenant(Filter.all, "b"))
    for (const tenant of ["a", "b", "default"])
      assert.isFalse(Filter.matches(both, { tenant, eventType: "stratix:x", agentId: undefined, commandId: undefined }))
  })
})
