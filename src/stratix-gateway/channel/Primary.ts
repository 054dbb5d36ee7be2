/**
 * In a worker: the process that holds the log, and what it told this one at the start.
 */
import { Socket } from "node:net"
import * as Context from "effect/Context"
import * as Channel from "./Channel.js"
import { Link } from "./Link.js"
import { Reports } from "./Reports.js"

/** What a worker knows of its gateway. */
export interface Worker {
  readonly link: Link
  readonly reports: Reports
  /** No other worker of this gateway has it, or had it before. */
  readonly number: number
  /** How many workers the gateway has. */
  readonly count: number
  /** Where the gateway listens, if the primary chose it for all. */
  readonly port: number | undefined
}

/** What this process is a worker of; `undefined` where it is a gateway by itself. */
export class Primary extends Context.Reference<Primary>()("stratix/Primary", {
  defaultValue: (): Worker | undefined => undefined
}) {}

/** The variable by which a worker knows that it is one. Not a setting. */
export const VARIABLE = "STRATIX_WORKER"

/** The descriptor of the channel: the ones before it are the standard streams and that of Node's own cluster. */
export const DESCRIPTOR = 4

const given = process.env[VARIABLE]
// Programs that a worker starts are no workers.
delete process.env[VARIABLE]

/** Whether this process was started as a worker. */
export const isWorker = given !== undefined

let connected: Worker | undefined

/** The worker that this process was started as. */
export const connect = (): Worker => {
  if (connected === undefined) {
    const [number, count, port] = (given ?? "").split(":")
    const socket = new Socket({ fd: DESCRIPTOR, readable: true, writable: true })
    const link = new Link(Channel.overStream(socket))
    connected = {
      link,
      reports: new Reports(link),
      number: Number(number),
      count: Number(count),
      port: port === undefined || port === "" ? undefined : Number(port)
    }
  }
  return connected
}
