/**
 * What carries a link where WebSockets do not get through: the gateway's event stream, read through `fetch`, which can send a token in a header.
 */
import { ABNORMAL, UNAUTHORIZED } from "../../stratix-core/close-codes.js"
import { SYNC_PROTOCOL } from "../../stratix-core/event-types.js"
import type { Fetch } from "../Environment.js"
import type { Carrier } from "./Link.js"

/** What an event stream tells. */
export interface EventStreamOwner {
  /** A message came in. `sentAt` is when the gateway sent it, for messages that do not say it themselves. */
  readonly onMessage: (data: string, sentAt: number | undefined) => void
  /** It ended, or did not come about. The code is what a WebSocket would have ended with. */
  readonly onEnd: (code: number, detail: string) => void
  /** How long the gateway asks to stay away, in milliseconds. */
  readonly onRetryAfter: (millis: number) => void
  /** The gateway did not understand what was asked. */
  readonly onRefused: (detail: string) => void
}

/** Opens a stream. Throws a `TypeError` for a token that cannot stand in a header. */
export const openEventStream = (
  fetch: Fetch,
  url: string,
  bearer: string | undefined,
  { onEnd, onMessage, onRefused, onRetryAfter }: EventStreamOwner
): Carrier => {
  const aborting = new AbortController()
  const headers = new Headers(bearer ? { authorization: `Bearer ${bearer}` } : {})

  const read = async () => {
    const response = await fetch(url, { headers, signal: aborting.signal })
    if (!response.ok) {
      onRetryAfter(Number(response.headers.get("retry-after")) * 1000 || 0)
      if (response.status === 400) onRefused(await response.text())
      // Not the 401 of a proxy, nor that of a gateway that knows its clients by a cookie, which another origin's page does not send.
      const isOfToken =
        response.status === 401 && bearer && /bearer/i.test(response.headers.get("www-authenticate") ?? "")
      return onEnd(isOfToken ? UNAUTHORIZED : ABNORMAL, `${response.status}`)
    }
    const reader = response.body?.getReader()
    const decoder = new TextDecoder()
    let sentAt: number | undefined
    // Bound: one message.
    let rest = ""
    for (;;) {
      const { done, value } = (await reader?.read()) ?? { done: true }
      if (done) return onEnd(ABNORMAL, "")
      const lines = (rest + decoder.decode(value, { stream: true })).split("\n")
      rest = lines.pop() ?? ""
      for (const line of lines) {
        // The data, the one field with this letter, says what the other fields say. A message is one line of it.
        if (line[0] === "d") onMessage(line.slice(5), sentAt)
        // A comment: when what follows was sent.
        else if (line[0] === ":") sentAt = Number(line.slice(1)) || undefined
      }
    }
  }
  read().catch((cause) => onEnd(ABNORMAL, String(cause)))

  return { protocol: SYNC_PROTOCOL, send: () => undefined, close: () => aborting.abort() }
}
