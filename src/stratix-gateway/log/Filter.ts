/**
 * Which events a connection wants, and may see.
 *
 * @since 0.1.0
 */
import { createHash } from "node:crypto"
import * as Either from "effect/Either"
import {
  AGENT_CREATE,
  AGENT_REMOVE,
  AGENT_STATUS_UPDATE,
  COMMAND_REMOVE,
  COMMAND_STATUS_UPDATE,
  EVENT_TYPE_PREFIX,
  type FilterFields,
  MAX_ID_LENGTH
} from "../../stratix-core/stratix-protocol.js"
import * as Tenant from "./Tenant.js"

/** Values within a field are alternatives; all fields that are there must hold; an empty field lets nothing through. Nothing of another tenant passes.
 * @since 0.1.0
 * @category models */
export interface Filter {
  /** Whose events: of exactly one tenant, the default one unless `inTenant` says another. */
  readonly tenant: string
  readonly events: ReadonlySet<string> | undefined
  readonly agents: ReadonlySet<string> | undefined
  readonly commands: ReadonlySet<string> | undefined
  /** Equal for equal filters: what connections are grouped by. */
  readonly key: string
  /** About how many bytes it holds, with its places in the index: what its connection may leave unread is less by this. */
  readonly weight: number
}

/** What a filter looks at.
 * @since 0.1.0
 * @category models */
export interface Filterable {
  /** Whose event it is. */
  readonly tenant: string
  /** Its type; of a removal of a key of the author's own, the type that has the key: it goes where those events go. */
  readonly eventType: string
  readonly agentId: string | undefined
  readonly commandId: string | undefined
}

type Names = ReadonlyArray<string> | ReadonlySet<string> | undefined

const sorted = (names: Names): ReadonlyArray<string> | undefined =>
  names === undefined ? undefined : [...new Set(names)].sort()

/** Of one value: the string's own header, its place in the set, and that in the index. */
const VALUE_WEIGHT = 128

/** Characters of a key above which a digest stands for it. */
const LONG_KEY = 128

const keyOf = (fields: ReadonlyArray<ReadonlyArray<string> | 0>): string => {
  const key = JSON.stringify(fields)
  return key.length > LONG_KEY ? createHash("sha256").update(key).digest("base64url") : key
}

const fromSorted = (
  tenant: string,
  events: ReadonlyArray<string> | undefined,
  agents: ReadonlyArray<string> | undefined,
  commands: ReadonlyArray<string> | undefined
): Filter => ({
  tenant,
  events: events && new Set(events),
  agents: agents && new Set(agents),
  commands: commands && new Set(commands),
  key: Tenant.scoped(tenant, events || agents || commands ? keyOf([events ?? 0, agents ?? 0, commands ?? 0]) : ""),
  weight: [events, agents, commands].reduce(
    (sum, names = []) => names.reduce((bytes, name) => bytes + name.length + VALUE_WEIGHT, sum),
    0
  )
})

/** Lets everything of the default tenant through.
 * @since 0.1.0
 * @category constructors */
export const all: Filter = fromSorted(Tenant.DEFAULT, undefined, undefined, undefined)

/** Lets nothing through.
 * @since 0.1.0
 * @category constructors */
export const none: Filter = fromSorted(Tenant.DEFAULT, [], undefined, undefined)

/** The same filter for the events of this tenant.
 * @since 0.1.0
 * @category combinators */
export const inTenant = (filter: Filter, tenant: string): Filter =>
  filter.tenant === tenant
    ? filter
    : { ...filter, tenant, key: Tenant.scoped(tenant, Tenant.unscoped(filter.key).text) }

/** The full name of an event type: `agent_status_update` and `stratix:agent_status_update` are the same.
 * @since 0.1.0
 * @category constructors */
export const eventTypeName = (name: string): string =>
  name.startsWith(EVENT_TYPE_PREFIX) ? name : EVENT_TYPE_PREFIX + name

/** A filter from the fields of a `subscribe` message.
 * @since 0.1.0
 * @category constructors */
export const fromFields = (fields: FilterFields): Filter =>
  fields.events || fields.agents || fields.commands
    ? fromSorted(
        Tenant.DEFAULT,
        sorted(fields.events?.map(eventTypeName)),
        sorted(fields.agents),
        sorted(fields.commands)
      )
    : all

/** The fields of a filter, as a `subscribed` message shows them.
 * @since 0.1.0
 * @category conversions */
export const toFields = (filter: Filter): FilterFields => ({
  ...(filter.events && { events: [...filter.events] }),
  ...(filter.agents && { agents: [...filter.agents] }),
  ...(filter.commands && { commands: [...filter.commands] })
})

/** How many values a filter has, all fields together.
 * @since 0.1.0
 * @category conversions */
export const size = (filter: Filter): number =>
  (filter.events?.size ?? 0) + (filter.agents?.size ?? 0) + (filter.commands?.size ?? 0)

const both = (
  left: ReadonlySet<string> | undefined,
  right: ReadonlySet<string> | undefined
): ReadonlySet<string> | undefined =>
  left === undefined ? right : right === undefined ? left : new Set([...left].filter((name) => right.has(name)))

const isUnlimited = ({ agents, commands, events }: Filter): boolean => !events && !agents && !commands

/** What both filters let through: nothing, if they are of different tenants.
 * @since 0.1.0
 * @category combinators */
export const intersect = (left: Filter, right: Filter): Filter =>
  left.tenant !== right.tenant
    ? inTenant(none, left.tenant)
    : isUnlimited(left)
      ? right
      : isUnlimited(right)
        ? left
        : fromSorted(
            left.tenant,
            sorted(both(left.events, right.events)),
            sorted(both(left.agents, right.agents)),
            sorted(both(left.commands, right.commands))
          )

/** A removal goes where the events go whose keys it ends. */
const removals: ReadonlyArray<readonly [string, ReadonlyArray<string>]> = [
  [AGENT_REMOVE, [AGENT_STATUS_UPDATE, AGENT_CREATE]],
  [COMMAND_REMOVE, [COMMAND_STATUS_UPDATE]]
]

/** The event types that a filter lets through: those of its field, and the removals that belong to them.
 * @since 0.1.0
 * @category conversions */
export const admittedTypes = (events: ReadonlySet<string>): ReadonlySet<string> => {
  const admitted = new Set(events)
  for (const [removal, ended] of removals) if (ended.some((type) => events.has(type))) admitted.add(removal)
  return admitted
}

const admitsType = (events: ReadonlySet<string>, eventType: string): boolean =>
  events.has(eventType) ||
  removals.some(([removal, ended]) => removal === eventType && ended.some((type) => events.has(type)))

/** Whether the filter lets the event through. An event without an agent is not matched by `agents`; likewise `commands`.
 * @since 0.1.0
 * @category predicates */
export const matches = (filter: Filter, event: Filterable): boolean =>
  filter.tenant === event.tenant &&
  (filter.events === undefined || admitsType(filter.events, event.eventType)) &&
  (filter.agents === undefined || (event.agentId !== undefined && filter.agents.has(event.agentId))) &&
  (filter.commands === undefined || (event.commandId !== undefined && filter.commands.has(event.commandId)))

const keyed: ReadonlySet<string> = new Set([
  AGENT_STATUS_UPDATE,
  COMMAND_STATUS_UPDATE,
  AGENT_CREATE,
  AGENT_REMOVE,
  COMMAND_REMOVE
])

/** Whether an event without a key could pass.
 * @since 0.1.0
 * @category predicates */
export const admitsKeyless = (filter: Filter): boolean =>
  filter.events === undefined || [...filter.events].some((type) => !keyed.has(type))

/** What the query string of an upgrade asks for.
 * @since 0.1.0
 * @category models */
export interface Query {
  readonly filter: Filter
  readonly snapshot: boolean
  readonly since: string | undefined
  readonly token: string | undefined
  /** Which of its tenants the client wants to see. */
  readonly tenant: string | undefined
}

/** Most clients ask for nothing. */
const noQuery: Either.Either<Query, string> = Either.right({
  filter: all,
  snapshot: false,
  since: undefined,
  token: undefined,
  tenant: undefined
})

/** Reads the query string. Unknown parameters are ignored; the left side says what is wrong with a malformed one.
 * @since 0.1.0
 * @category constructors */
export const fromQuery = (query: string): Either.Either<Query, string> => {
  if (query === "") return noQuery
  const fields: { events?: ReadonlyArray<string>; agents?: ReadonlyArray<string>; commands?: ReadonlyArray<string> } =
    {}
  let snapshot = false
  let since: string | undefined
  let token: string | undefined
  for (const pair of query.split("&")) {
    const cut = pair.indexOf("=")
    const name = cut === -1 ? pair : pair.slice(0, cut)
    const raw = cut === -1 ? "" : pair.slice(cut + 1)
    switch (name) {
      case "events":
      case "agents":
      case "commands": {
        if (fields[name] !== undefined) return Either.left(`"${name}" is there twice: separate its values by commas`)
        const values: Array<string> = []
        // Split before decoding, so that an id with a comma in it can be written as %2C.
        for (const item of raw.split(",")) {
          const value = decode(item)
          if (value === undefined)
            return Either.left(`"${name}" has a broken percent-encoding: ${JSON.stringify(item)}`)
          if (value === "") return Either.left(`"${name}" has an empty value: it must be a comma-separated list`)
          if ((name === "events" ? eventTypeName(value) : value).length > MAX_ID_LENGTH)
            return Either.left(`"${name}" has a value of more than ${MAX_ID_LENGTH} characters`)
          values.push(value)
        }
        fields[name] = values
        break
      }
      case "snapshot":
        if (raw !== "true" && raw !== "false")
          return Either.left(`"snapshot" must be true or false, got ${JSON.stringify(raw)}`)
        snapshot = raw === "true"
        break
      case "since":
      case "token": {
        const value = decode(raw)
        if (value === undefined || value === "")
          return Either.left(`"${name}" must not be empty and must be percent-encoded well`)
        if (name === "since") since = value
        else token = value
        break
      }
    }
  }
  return Either.map(tenantIn(query), (tenant) => ({ filter: fromFields(fields), snapshot, since, token, tenant }))
}

/** The tenant that a query string chooses, if it does. */
export const tenantIn = (query: string): Either.Either<string | undefined, string> => {
  const given = query.split("&").filter((pair) => pair === "tenant" || pair.startsWith("tenant="))
  if (given.length > 1) return Either.left('"tenant" is there twice: one tenant is seen at a time')
  const [pair] = given
  if (pair === undefined) return Either.right(undefined)
  const tenant = decode(pair.slice("tenant=".length))
  return tenant === undefined || tenant === ""
    ? Either.left('"tenant" must not be empty and must be percent-encoded well')
    : Either.right(tenant)
}

const decode = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text.replaceAll("+", " "))
  } catch {
    return undefined
  }
}
