/**
 * How messages become the bytes of a connection. Whatever is written to many connections is made once for each form.
 *
 * @since 0.1.0
 */
import * as Frame from "./Frame.js"

/** What carries the messages.
 * @since 0.1.0
 * @category models */
export interface Form {
  /** Connections of the same form get the same bytes. */
  readonly name: "frames" | "deflated" | "stream"
  /** What precedes the welcome. `retryMillis`: when a client that loses the connection should come back. */
  readonly opening: ((retryMillis: number) => Buffer) | undefined
  /** A message of the gateway's own. `isAnew`: what the client has received is no place to resume after any more. */
  readonly message: (eventType: string, json: string, isAnew?: boolean) => Buffer
  /** What is written at every heartbeat. */
  readonly ping: Buffer
}

/** WebSocket frames.
 * @since 0.1.0
 * @category forms */
export const frames: Form = {
  name: "frames",
  opening: undefined,
  message: (_eventType, json) => Frame.text(json),
  ping: Frame.ping
}

/** WebSocket frames of a client that agreed to permessage-deflate with a window that serves every client. Events are compressed; messages of the gateway's own are short.
 * @since 0.1.0
 * @category forms */
export const deflated: Form = { ...frames, name: "deflated" }

/** An event stream (`text/event-stream`). Nothing in the JSON ends a line: it has no line breaks outside of its strings, and escapes those within.
 * @since 0.1.0
 * @category forms */
export const stream: Form = {
  name: "stream",
  opening: (retryMillis) => Buffer.from(`retry: ${retryMillis}\n\n`),
  // An empty id: a client that comes back before the next event shows none, and gets a snapshot.
  message: (eventType, json, isAnew = false) =>
    Buffer.from(`event: ${eventType}\n${isAnew ? "id:\n" : ""}data: ${json}\n\n`),
  ping: Buffer.from(":\n\n")
}

/** When the events that follow were sent: a comment, which readers of event streams pass over. */
export const streamSentAt = (sentAt: number): string => `: ${sentAt}\n`

/** An event in a stream: the name is left out, so that a page hears all of them by one handler, and the id is the offset to resume after.
 * @since 0.1.0
 * @category forms */
export const streamEvent = (offset: string, json: string): string => `id: ${offset}\ndata: ${json}\n\n`
