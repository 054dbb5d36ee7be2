/** Random histories of a gateway. */
import { FastCheck as fc, Schema } from "effect"
import { StatusEvent } from "../../../src/stratix-core/index.js"
import { Filter } from "../../../src/stratix-gateway/index.js"

/** What is published. `move`: a command changes to another agent. `finish`: its last word, and above the cap the log removes one. `lease`: a status
 * that nobody renews, and its end, with which the agent's running commands fail. `zone`: of a declared type, with an agent that changes; `zoneEnd` is the
 * last word on its key. */
const kinds = [
  "agent",
  "create",
  "command",
  "move",
  "finish",
  "remove",
  "note",
  "lease",
  "zone",
  "zoneEnd",
  "zoneRemove"
] as const
export type Kind = (typeof kinds)[number]

/** How a client is served. */
export const forms = ["plain", "sync", "stream"] as const
export type Form = (typeof forms)[number]

/** One step of a random history of a gateway. */
export type Step =
  | { readonly t: Kind; readonly id: number }
  | { readonly t: "burst"; readonly id: number }
  | { readonly t: "join"; readonly form: Form; readonly filter: number }
  | { readonly t: "comeBack"; readonly id: number; readonly processed: number }
  | { readonly t: "freeze" | "thaw" | "drop"; readonly id: number }
  | { readonly t: "subscribe"; readonly id: number; readonly filter: number }
  | { readonly t: "flush" }
  | { readonly t: "settle" }

export const filters = [
  "",
  "agents=a0,a1",
  "commands=c0",
  "events=agent_status_update",
  "events=note",
  "agents=a2&events=command_status_update",
  "events=zone_update",
  "agents=a1&events=zone_update,agent_create"
]

export const Zone = StatusEvent.define("stratix:zone_update", {
  schema: Schema.Struct({
    zoneId: Schema.String,
    agentId: Schema.optional(Schema.String),
    n: Schema.Number,
    isOver: Schema.Boolean
  }),
  key: ({ zoneId }) => zoneId,
  finished: ({ isOver }) => isOver
})

export const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ t: fc.constantFrom(...kinds), id: fc.nat(4) })
  },
  { weight: 1, arbitrary: fc.record({ t: fc.constant("burst" as const), id: fc.integer({ min: 5, max: 60 }) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      t: fc.constant("join" as const),
      form: fc.constantFrom(...forms),
      filter: fc.nat(filters.length - 1)
    })
  },
  {
    weight: 2,
    arbitrary: fc.record({ t: fc.constant("comeBack" as const), id: fc.nat(9), processed: fc.nat(1000) })
  },
  { weight: 2, arbitrary: fc.record({ t: fc.constant("freeze" as const), id: fc.nat(9) }) },
  { weight: 2, arbitrary: fc.record({ t: fc.constant("thaw" as const), id: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ t: fc.constant("drop" as const), id: fc.nat(9) }) },
  {
    weight: 2,
    arbitrary: fc.record({ t: fc.constant("subscribe" as const), id: fc.nat(9), filter: fc.nat(filters.length - 1) })
  },
  { weight: 1, arbitrary: fc.constant({ t: "flush" as const }) },
  { weight: 1, arbitrary: fc.constant({ t: "settle" as const }) }
)

export const filterOf = (index: number): Filter.Filter => {
  const parsed = Filter.fromQuery(filters[index] ?? "")
  return parsed._tag === "Right" ? parsed.right.filter : Filter.all
}
