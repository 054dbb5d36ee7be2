import { Context, Effect, Layer } from "effect"
import type { Subscriber } from "../../../../src/stratix-gateway/fanout/Subscribers.js"
import { EventLog } from "../../../../src/stratix-gateway/index.js"
import { Broadcast } from "../../../../src/stratix-gateway/internals.js"
import * as Filter from "../../../../src/stratix-gateway/log/Filter.js"
import * as Form from "../../../../src/stratix-gateway/transport/Form.js"
import { draft } from "../../../support/draft.js"

type Log = typeof EventLog.EventLog.Service

/** A numbered event. */
export const note = (n: number, rest: Partial<EventLog.Draft> & { readonly pad?: number } = {}): EventLog.Draft => {
  const { pad = 0, ...fields } = rest
  return draft({ json: JSON.stringify({ n, pad: "x".repeat(pad) }), ...fields })
}

/** The fan-out alone, over the log in memory, with what the test changes in it. */
export const world = (change: (log: Log) => Partial<Log> = () => ({})) =>
  Effect.gen(function* () {
    const log = yield* EventLog.EventLog
    const asked: Array<readonly [string | undefined, EventLog.SinceOptions]> = []
    const since: Log["since"] = (cursor, options = {}) => {
      asked.push([cursor, options])
      return log.since(cursor, options)
    }
    const built = yield* Layer.build(Broadcast.layer).pipe(
      Effect.provideService(EventLog.EventLog, { ...log, since, ...change(log) })
    )
    const broadcast = Context.get(built, Broadcast.Broadcast)
    const publish = (...drafts: ReadonlyArray<EventLog.Draft>) => log.append(drafts)

    /** A connection whose socket takes everything at once, unless the test says otherwise. */
    const client = ({
      filter = Filter.all,
      form = Form.stream,
      start = Broadcast.atHead,
      sync = false
    }: Partial<Omit<Broadcast.SubscribeOptions, "socket">> & { readonly form?: Form.Form } = {}) => {
      const written: Array<Uint8Array> = []
      const ended: Array<string> = []
      const socket = {
        /** What it says is unsent, before a write and after it. */
        unsent: 0,
        unsentAfter: 0,
        onWrite: () => {}
      }
      const subscriber: Subscriber = broadcast.subscribe({
        socket: {
          remoteAddress: "192.0.2.1",
          form,
          writes: () => written.length,
          write: (bytes) => {
            socket.onWrite()
            written.push(bytes)
            return socket.unsentAfter
          },
          ping: () => {},
          unsentBytes: () => socket.unsent,
          end: (code, reason) => ended.push(`${code} ${reason}`),
          terminate: () => ended.push("terminated")
        },
        filter,
        start,
        sync
      })
      const text = () => Buffer.concat(written).toString()
      return {
        socket,
        subscriber,
        written,
        ended,
        text,
        /** The numbers of the events that it was given. */
        numbers: () => [...text().matchAll(/"n":(\d+)/g)].map(([, n]) => Number(n)),
        /** Payloads of its `stratix:sync` messages. */
        announced: () =>
          [...text().matchAll(/data: (.*"stratix:sync".*)\n/g)].map(([, json]) => JSON.parse(json ?? "").payload)
      }
    }
    return { asked, broadcast, client, log, publish }
  })

export const agents = (...names: ReadonlyArray<string>) => Filter.fromFields({ agents: names })
