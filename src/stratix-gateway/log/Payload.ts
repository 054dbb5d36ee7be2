/**
 * Checks a payload by the type of its event: what the protocol, or a declaration, says of its fields. Others pass as they are.
 */
import * as Either from "effect/Either"
import type * as Schema from "effect/Schema"
import type { AnyStatusEvent } from "../../stratix-core/StatusEvent.js"
import { Key, KNOWN_TYPES, payloadSchema } from "../../stratix-core/stratix-protocol.js"
import type { UnknownEventInput } from "./EventInput.js"
import * as JsonValue from "./JsonValue.js"
import { decoder, invalid, PublishError, refusal } from "./PublishError.js"

const decodeKey = decoder(Key, "key")

type Decode = (payload: unknown) => Either.Either<object, PublishError>

const decoders = new Map<Schema.Schema.AnyNoContext, Decode>()

/** The fields that the type of an event names; of a type that the protocol does not name, all of them. */
const decodePayload = (eventType: string, payload: unknown): Either.Either<object, PublishError> => {
  if (typeof payload === "object" && payload !== null && Object.hasOwn(payload, JsonValue.PROTO)) {
    return invalid(`payload.${JsonValue.PROTO}`, JsonValue.PROTO_DETAIL)
  }
  const schema: Schema.Schema.AnyNoContext = payloadSchema(eventType)
  let decode = decoders.get(schema)
  if (decode === undefined) {
    decode = decoder(schema, "payload")
    decoders.set(schema, decode)
  }
  return decode(payload)
}

const notJson = ({ detail, path }: JsonValue.Problem): PublishError =>
  new PublishError({ reason: "NotJson", field: path, detail })

/** A payload as JSON. */
export const toJson = (payload: unknown): Either.Either<string, PublishError> => {
  try {
    const problem = JsonValue.problemIn(payload, "payload")
    return problem === undefined ? Either.right(JSON.stringify(payload)) : Either.left(notJson(problem))
  } catch (cause) {
    // A getter or a toJSON of the caller threw.
    return Either.left(
      new PublishError({ reason: "NotJson", field: "payload", detail: `cannot be read: ${String(cause)}` })
    )
  }
}

/** A payload that was checked: what it says to the gateway, and what goes on the wire. */
interface Checked {
  readonly payload: object
  readonly specified: object
  /** Its key among the events of a declared type. */
  readonly own: string | undefined
  readonly finished: boolean
}

/** `fields` with those of `more` that have other names, in this order. */
const withMore = (fields: object, more: object): object => {
  const names = Object.keys(more)
  // Most payloads have no others: the object stays as it is.
  if (names.every((name) => Object.hasOwn(fields, name))) return fields
  return { ...fields, ...Object.fromEntries(Object.entries(more).filter(([name]) => !Object.hasOwn(fields, name))) }
}

const extraOf = ({ eventType, extra }: UnknownEventInput): Either.Either<object, PublishError> => {
  if (extra === undefined) return Either.right({})
  if (typeof extra !== "object" || extra === null || Array.isArray(extra)) return invalid("extra", "must be an object")
  const schema = payloadSchema(eventType)
  if (!KNOWN_TYPES.has(eventType) || !("fields" in schema))
    return invalid("extra", "has no meaning for a type of your own: say it in the payload")
  for (const name of Object.keys(extra)) {
    if (Object.hasOwn(schema.fields, name)) return invalid(`extra.${name}`, "is a field of the payload: say it there")
  }
  return Either.right(extra)
}

/** What a declaration says of a payload. */
const checkDeclared = (specified: object, declared: AnyStatusEvent): Either.Either<Checked, PublishError> =>
  Either.gen(function* () {
    const reading = yield* Either.try({
      try: () => declared.read(specified),
      catch: (cause) => new PublishError({ reason: "InvalidField", field: "payload", detail: String(cause) })
    })
    const {
      finished,
      key,
      specified: named
    } = yield* Either.mapLeft(reading, (error) => {
      // A Schema of the author's shows the value that it refuses, and what is nested deeper than the stack goes cannot be shown.
      const problem = JsonValue.problemIn(specified, "payload")
      return problem === undefined ? refusal(error, "payload") : notJson(problem)
    })
    if (key !== undefined) yield* decodeKey(key)
    return { payload: specified, specified: named, own: key, finished }
  })

/** Checks a payload by the type of its event. */
export const check = (
  input: UnknownEventInput,
  declared: AnyStatusEvent | undefined
): Either.Either<Checked, PublishError> => {
  const { eventType, payload: given } = input
  const extra = extraOf(input)
  if (Either.isLeft(extra)) return Either.left(extra.left)
  const decoded = decodePayload(eventType, given)
  if (Either.isLeft(decoded)) return Either.left(decoded.left)
  const specified = decoded.right
  if (declared !== undefined) return checkDeclared(specified, declared)
  const open = typeof given === "object" && given !== null ? withMore(specified, given) : specified
  return Either.right({ payload: withMore(open, extra.right), specified, own: undefined, finished: false })
}
