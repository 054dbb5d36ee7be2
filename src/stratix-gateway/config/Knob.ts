/**
 * What a knob is: a `Config` that also knows its variable, default, unit, bounds and meaning, and checks values given in code.
 */
import * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"

export type Kind = "duration" | "bytes" | "count" | "rate" | "flag" | "list" | "secret" | "text" | "choice"

/** One knob. Reading it gives its value from the environment, or its default. */
export interface Knob<A> extends Config.Config<A> {
  readonly env: string
  readonly kind: Kind
  readonly default: A
  /** The unit of a plain number; empty where there is none. */
  readonly unit: string
  /** Which values it takes, as one reads it in a table; empty where it takes all. */
  readonly bounds: string
  readonly doc: string
  /** What is wrong with a value, as in "must be a whole number, is 1.5"; `undefined` for a good one. Takes anything: settings given in code may come from JavaScript. */
  readonly problem: (value: unknown) => string | undefined
}

interface Spec<A> {
  readonly env: string
  readonly default: A
  readonly doc: string
}

/** How the values of a knob are written and checked. */
interface Form<A> {
  readonly kind: Kind
  readonly unit?: string
  readonly bounds?: string
  /** What a value must be, to follow "must be". */
  readonly form: string
  readonly parse: (text: string) => A | undefined
  readonly accepts: (value: unknown) => boolean
  /** What a wrong value is, as in `is "abc"`. */
  readonly found?: (value: unknown) => string
}

/** The variable that Kubernetes sets in each container of a namespace with a Service named `stratix`. */
const KUBERNETES_PORT = /^(tcp|udp|sctp):\/\//

const found = (value: unknown): string => {
  if (Duration.isDuration(value)) return `is ${Duration.format(value)}`
  return `is ${typeof value === "string" || Array.isArray(value) ? JSON.stringify(value) : String(value)}`
}

const make = <A>(spec: Spec<A>, form: Form<A>): Knob<A> => {
  const explain = (value: unknown): string => {
    const said = `must be ${form.form}, ${(form.found ?? found)(value)}`
    return typeof value === "string" && KUBERNETES_PORT.test(value)
      ? `${said}. Kubernetes sets it for a Service with this name: rename the Service, or set enableServiceLinks: false in the Pod`
      : said
  }
  const read = Config.mapOrFail(Config.string(spec.env), (text) => {
    const value = form.parse(text.trim())
    return value === undefined || !form.accepts(value)
      ? Either.left(ConfigError.InvalidData([], explain(text)))
      : Either.right(value)
  })
  return Object.assign(Config.withDefault(read, spec.default), {
    env: spec.env,
    kind: form.kind,
    default: spec.default,
    unit: form.unit ?? "",
    bounds: form.bounds ?? "",
    doc: spec.doc,
    problem: (value: unknown) => (form.accepts(value) ? undefined : explain(value))
  })
}

const MILLIS: ReadonlyMap<string, number> = new Map(
  (
    [
      [1, ["ms", "milli", "millis", "millisecond", "milliseconds"]],
      [1000, ["s", "sec", "second", "seconds"]],
      [60_000, ["m", "min", "minute", "minutes"]],
      [3_600_000, ["h", "hour", "hours"]],
      [86_400_000, ["d", "day", "days"]]
    ] as const
  ).flatMap(([millis, names]) => names.map((name) => [name, millis] as const))
)

/** A duration as people type it: `30s`, `5m`, `500ms`, `30 seconds`; `undefined` for anything else. */
export const parseDuration = (text: string): Duration.Duration | undefined => {
  if (text === "0") return Duration.zero
  const [, count, unit = ""] = /^(\d+(?:\.\d+)?)\s*([a-z]+)$/i.exec(text) ?? []
  const millis = MILLIS.get(unit.toLowerCase())
  return count === undefined || millis === undefined ? undefined : Duration.millis(Number(count) * millis)
}

const millisOf = (value: unknown): number | undefined => {
  const decoded = Duration.decodeUnknown(value)
  return decoded._tag === "None" ? undefined : Duration.toMillis(decoded.value)
}

/** A JavaScript timer of more than 2^31 - 1 ms, some 24.8 days, fires at once. */
const LONGEST: Duration.DurationInput = "24 days"

/** A length of time, from `min` (1 ms by default) to 24 days. */
export const duration = (
  spec: Spec<Duration.DurationInput> & { readonly min?: Duration.DurationInput }
): Knob<Duration.DurationInput> => {
  const min = Duration.decode(spec.min ?? "1 millis")
  const bounds = `${Duration.format(min)} to ${Duration.format(LONGEST)}`
  return make<Duration.DurationInput>(spec, {
    kind: "duration",
    bounds,
    form: `a duration from ${bounds}, written like 500ms, 30s, 5m or 1h`,
    parse: parseDuration,
    accepts: (value) => {
      const millis = millisOf(value)
      return millis !== undefined && millis >= Duration.toMillis(min) && millis <= Duration.toMillis(LONGEST)
    }
  })
}

interface Bounded extends Spec<number> {
  readonly min: number
  readonly max?: number
}

const parseWhole = (text: string): number | undefined => (/^\d+$/.test(text) ? Number(text) : undefined)

const BYTES: ReadonlyMap<string, number> = new Map([
  ["", 1],
  ["b", 1],
  ["kib", 2 ** 10],
  ["mib", 2 ** 20],
  ["gib", 2 ** 30]
])

/** A size as people type it: `65536`, `64KiB`, `4 MiB`; `undefined` for anything else. */
export const parseBytes = (text: string): number | undefined => {
  const [, count, unit = ""] = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text) ?? []
  const size = BYTES.get(unit.toLowerCase())
  return count === undefined || size === undefined ? undefined : Number(count) * size
}

const whole = (
  { max = Number.MAX_SAFE_INTEGER, min, ...spec }: Bounded,
  kind: Kind,
  unit: string,
  parse: (text: string) => number | undefined,
  hint = ""
): Knob<number> => {
  const bounds = max === Number.MAX_SAFE_INTEGER ? `at least ${min}` : `${min} to ${max}`
  return make(spec, {
    kind,
    unit,
    bounds,
    form: `a whole number ${max === Number.MAX_SAFE_INTEGER ? "of" : "from"} ${bounds}${hint}`,
    parse,
    accepts: (value) => typeof value === "number" && Number.isSafeInteger(value) && value >= min && value <= max
  })
}

/** A size in bytes. */
export const bytes = (spec: Bounded): Knob<number> =>
  whole(spec, "bytes", "bytes", parseBytes, " bytes, or written like 64KiB or 4MiB")

/** A number of things; `unit` says which where the meaning does not. */
export const count = ({ unit = "", ...spec }: Bounded & { readonly unit?: string }): Knob<number> =>
  whole(spec, "count", unit, parseWhole)

/** A number of things a second; 0 is no limit. */
export const rate = (spec: Spec<number>): Knob<number> => whole({ ...spec, min: 0 }, "rate", "per second", parseWhole)

const FLAGS: ReadonlyMap<string, boolean> = new Map([
  ["true", true],
  ["yes", true],
  ["on", true],
  ["1", true],
  ["false", false],
  ["no", false],
  ["off", false],
  ["0", false]
])

/** Yes or no. */
export const flag = (spec: Spec<boolean>): Knob<boolean> =>
  make(spec, {
    kind: "flag",
    bounds: "true or false",
    form: "true or false",
    parse: (text) => FLAGS.get(text.toLowerCase()),
    accepts: (value) => typeof value === "boolean"
  })

const itemsIn = (text: string): ReadonlyArray<string> =>
  text
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "")

/** Texts, separated by commas. `items` says what each must be. */
export const list = ({
  items = { form: "texts", accepts: () => true },
  ...spec
}: Spec<ReadonlyArray<string>> & {
  readonly items?: { readonly form: string; readonly accepts: (item: string) => boolean }
}): Knob<ReadonlyArray<string>> => {
  const fits = (item: unknown) => typeof item === "string" && items.accepts(item)
  return make<ReadonlyArray<string>>(spec, {
    kind: "list",
    unit: "comma-separated",
    bounds: items.form === "texts" ? "" : items.form,
    form: items.form === "texts" ? "a list of texts" : items.form,
    parse: itemsIn,
    accepts: (value) => Array.isArray(value) && value.every(fits),
    found: (value) => {
      const given: unknown = typeof value === "string" ? itemsIn(value) : value
      const wrong = Array.isArray(given) ? given.find((item) => !fits(item)) : undefined
      return wrong === undefined ? found(value) : `has ${JSON.stringify(wrong)}`
    }
  })
}

/** A text that must not be shown, or none. */
export const secret = (spec: Omit<Spec<never>, "default">): Knob<Redacted.Redacted<string> | undefined> =>
  make<Redacted.Redacted<string> | undefined>(
    { ...spec, default: undefined },
    {
      kind: "secret",
      form: "a Redacted text",
      parse: Redacted.make,
      accepts: (value) =>
        value === undefined || (Redacted.isRedacted(value) && typeof Redacted.value(value) === "string"),
      // The value itself must not be shown.
      found: (value) => `is of type ${typeof value}`
    }
  )

/** A text with a default that may have a secret in it. */
export const secretText = ({
  accepts,
  default: fallback,
  form,
  ...spec
}: Spec<string> & { readonly form: string; readonly accepts: (text: string) => boolean }): Knob<Redacted.Redacted> =>
  make<Redacted.Redacted>(
    { ...spec, default: Redacted.make(fallback) },
    {
      kind: "secret",
      bounds: form,
      form,
      parse: Redacted.make,
      accepts: (value) => {
        if (!Redacted.isRedacted(value)) return false
        const text = Redacted.value(value)
        return typeof text === "string" && accepts(text)
      },
      found: (value) =>
        Redacted.isRedacted(value) || typeof value === "string" ? "is something else" : `is of type ${typeof value}`
    }
  )

/** A text with a default. */
export const text = ({
  accepts = () => true,
  form = "a text",
  ...spec
}: Spec<string> & { readonly form?: string; readonly accepts?: (text: string) => boolean }): Knob<string> =>
  make(spec, {
    kind: "text",
    bounds: form === "a text" ? "" : form,
    form,
    parse: (value) => value,
    accepts: (value) => typeof value === "string" && accepts(value)
  })

/** A text, or none. A variable set to nothing is not absent: it is the empty text. */
export const optionalText = (spec: Omit<Spec<never>, "default">): Knob<string | undefined> =>
  make<string | undefined>(
    { ...spec, default: undefined },
    {
      kind: "text",
      form: "a text",
      parse: (value) => value,
      accepts: (value) => value === undefined || typeof value === "string"
    }
  )

/** One of several words. */
export const choice = <A extends string>({
  choices,
  ...spec
}: Spec<NoInfer<A>> & { readonly choices: ReadonlyArray<A> }): Knob<A> => {
  const form = `${choices.slice(0, -1).join(", ")} or ${choices.at(-1)}`
  return make<A>(spec, {
    kind: "choice",
    bounds: form,
    form,
    parse: (value) => choices.find((each) => each === value.toLowerCase()),
    accepts: (value) => choices.some((each) => each === value)
  })
}
