/**
 * What a gateway's answer to a publication means.
 *
 * @since 0.1.0
 */

/** `Accepted`: published. `Refused`: nothing was published, because of the event at `index`. `TooLarge`: nothing was published, the request is too large.
 * `Busy`: nothing was published, and the gateway may take it later. `Denied`: the token is missing, wrong or may not publish. `Strange`: not the answer
 * of a gateway. */
export type Answer =
  | { readonly _tag: "Accepted"; readonly epoch: string | undefined; readonly missing: ReadonlyArray<string> }
  | { readonly _tag: "Refused"; readonly index: number; readonly message: string }
  | { readonly _tag: "TooLarge" }
  | { readonly _tag: "Busy"; readonly status: number; readonly message: string }
  | { readonly _tag: "Denied"; readonly status: number; readonly message: string }
  | { readonly _tag: "Strange"; readonly status: number; readonly message: string }

/** Enough to recognise what answers. */
const PREVIEW = 200

const parsed = (body: string): object => {
  try {
    const value: unknown = JSON.parse(body)
    return typeof value === "object" && value !== null ? value : {}
  } catch {
    return {}
  }
}

const field = (value: object, name: string): unknown => Reflect.get(value, name)

const textOf = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined)

/** The event that a refusal is about, and what is wrong with it. Of several events the field begins with the index of one. */
const refused = (body: string, count: number): Answer => {
  const problem = parsed(body)
  const message = textOf(field(problem, "message")) ?? body.slice(0, PREVIEW)
  const at = count > 1 ? /^(\d+)(?:\.|$)/.exec(textOf(field(problem, "field")) ?? "")?.[1] : undefined
  if (at === undefined) return { _tag: "Refused", index: 0, message }
  return { _tag: "Refused", index: Number(at), message: message.replace(/^\d+(\.|: )/, "") }
}

/** The meaning of an answer to `count` events. */
export const answerOf = (status: number, body: string, count: number): Answer => {
  const message = textOf(field(parsed(body), "message")) ?? body.slice(0, PREVIEW)
  switch (status) {
    case 200:
    case 202: {
      const answer = parsed(body)
      const missing = field(answer, "missing")
      return {
        _tag: "Accepted",
        epoch: textOf(field(answer, "epoch")),
        missing: Array.isArray(missing) ? missing.filter((id) => typeof id === "string") : []
      }
    }
    case 400:
      return refused(body, count)
    case 401:
    case 403:
      return { _tag: "Denied", status, message }
    case 413:
      return { _tag: "TooLarge" }
    case 429:
    case 502:
    case 503:
    case 504:
      return { _tag: "Busy", status, message }
    default:
      return { _tag: "Strange", status, message }
  }
}

/** Longest wait that a gateway is granted, in milliseconds, so that a wrong number cannot silence a publisher for a day. */
const LONGEST_WAIT = 60_000

/** How long a refusal asks to wait, in milliseconds: `Retry-After` in seconds. */
export const retryAfterOf = (header: string | null | undefined): number | undefined =>
  header !== null && header !== undefined && /^\d+$/.test(header)
    ? Math.min(Number(header) * 1000, LONGEST_WAIT)
    : undefined
