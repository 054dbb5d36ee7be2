/** One server and its load client for one measurement, both fresh, both gone afterwards. */
import { fileURLToPath } from "node:url"
import { Child } from "./child.mjs"
import { now } from "./clock.mjs"
import { pinned } from "./cores.mjs"
import { peers } from "./peers.mjs"

const CLIENT = fileURLToPath(new URL("../load/client.mjs", import.meta.url))
/** Everybody is compared on the JavaScript they bring: `ws` would pick up these two where another package happens to install them. */
const ENV = { WS_NO_BUFFER_UTIL: "1", WS_NO_UTF_8_VALIDATE: "1", NODE_ENV: "production" }
const DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; server_no_context_takeover"

/** Below this two clocks are the same clock. */
const SAME_CLOCK_NS = 1e6

const newClient = async (server, clients, cores) => {
  const { command, args } = pinned(cores, process.execPath, [CLIENT])
  const client = await Child.start("load client", command, args, ENV)
  clients.push(client)
  client.onAck = () => server.ack()
  return client
}

/** In place of a figure where the server, or what reads from it, does not keep the pace of a stream. */
export const NOT_KEPT = "the pace was not kept"

export class Trial {
  /** With `cores`, the server and the load stay on those of theirs. */
  static async run(peer, settings, body, cores = {}) {
    const program = peers[peer].program()
    const { command, args } = pinned(cores.server, program.command, program.args)
    const server = await Child.start(`${peer} server`, command, args, ENV)
    /** @type {Array<Child>} */
    const clients = []
    try {
      const { port } = await server.ask("listen", settings)
      const client = await newClient(server, clients, cores.load)
      return await body(new Trial(server, clients, client, peers[peer], settings, port, cores))
    } finally {
      await Promise.all([server.stop(), ...clients.map((client) => client.stop())])
    }
  }

  constructor(server, clients, client, peer, settings, port, cores) {
    this.server = server
    this.clients = clients
    this.client = client
    this.peer = peer
    this.settings = settings
    this.port = port
    this.cores = cores
  }

  /** The load is one process; what must not be disturbed by it gets a second one. */
  newClient() {
    return newClient(this.server, this.clients, this.cores.load)
  }

  /** Resolves to `{ readyMs, retries, syncModes }`, the times in the order in which the clients got in. */
  async connect({ name = "all", count, headers = [], client = this.client, path = "", ...options }) {
    return await client.ask("connect", {
      name,
      count,
      port: this.port,
      concurrency: Math.min(count, 200),
      ...options,
      path: this.peer.path + path,
      greetings: this.peer.greetings,
      socketio: this.peer.socketio === true,
      headers: this.settings.deflate ? [...headers, DEFLATE] : headers
    })
  }

  /** What the server's clock shows when the client's shows 0. Node's clock is the machine's; Bun's begins with its process. */
  async #clockOffset() {
    let best = { took: Number.POSITIVE_INFINITY, offset: 0 }
    for (let i = 0; i < 50; i++) {
      const before = now()
      const there = await this.server.ask("clock")
      const after = now()
      if (after - before < best.took) best = { took: after - before, offset: there - (before + after) / 2 }
    }
    return Math.abs(best.offset) < SAME_CLOCK_NS ? 0 : best.offset
  }

  /** Lone events, paced: CPU of the server per delivery, and the time of each from the publishing to the last client's receipt. */
  async lone({ count, everyMs, clients, name = "all", client = this.client, load = [client] }) {
    await Promise.all(load.map((each) => each.ask("record", { name, events: count })))
    const { sentAt, cpuUs } = await this.server.ask("paced", { count, everyMs })
    const recorded = await Promise.all(load.map((each) => each.ask("recorded", { name })))
    const left = Math.max(...recorded.map((each) => each.left))
    if (left > 0) throw new Error(`${left} of ${count} events did not reach every client`)
    const offset = await this.#clockOffset()
    const ms = sentAt.map((sent, i) => (Math.max(...recorded.map(({ doneAt }) => doneAt[i])) + offset - sent) / 1e6)
    return { cpuUsPerDelivery: cpuUs / (count * clients), sentAt, ms }
  }

  /**
   * Events at a pace, whether or not clients keep up. CPU is in percent of one core, busy the share of time in which the event loop does not
   * wait. Latencies are from when an event was due to its last receipt in all groups; there are none where some client lacks an event five
   * seconds after the last was due.
   */
  async stream({ perSecond, seconds, bytes, groups = [{ name: "all", client: this.client }] }) {
    const count = Math.max(1, Math.round(perSecond * seconds))
    for (const { client, name } of groups) await client.ask("record", { name, events: count })
    const { isKept, start, cpuUs, activeMs, wallMs } = await this.server.ask("stream", { count, perSecond, bytes })
    const recordings = isKept
      ? await Promise.all(groups.map(({ client, name }) => client.ask("recorded", { name })))
      : []
    const isComplete = recordings.length > 0 && recordings.every(({ left }) => left === 0)
    const msUntilLast = (event) =>
      (Math.max(...recordings.map(({ doneAt }) => doneAt[event])) - start) / 1e6 - (event * 1000) / perSecond
    return {
      cpuPercent: cpuUs / wallMs / 10,
      busyPercent: (activeMs / wallMs) * 100,
      isKept,
      ms: isComplete ? Array.from({ length: count }, (_, event) => msUntilLast(event)) : []
    }
  }

  /** Bursts, each published in one turn as soon as the one before, `deliveries` in all, has arrived everywhere. Each of `load` has as many clients. */
  async bursts({ size, ms, deliveries, name = "all", load = [this.client] }) {
    let left = load.length
    for (const client of load)
      client.onAck = () => {
        if (--left > 0) return
        left = load.length
        this.server.ack()
      }
    const askAll = (what, args = {}) => Promise.all(load.map((client) => client.ask(what, { name, ...args })))
    const counted = async (field) => (await askAll("counts")).reduce((sum, counts) => sum + counts[field], 0)
    const before = { messages: await counted("messages"), compressed: await counted("compressed") }
    await askAll("ackEvery", { every: deliveries / load.length })
    const { events, cpuUs, wallMs } = await this.server.ask("bursts", { size, ms })
    await askAll("ackNoMore")
    const delivered = (events / size) * deliveries
    const got = (await counted("messages")) - before.messages
    if (got !== delivered) throw new Error(`${got} messages came instead of ${delivered}`)
    const compressed = (await counted("compressed")) - before.compressed
    if (compressed !== (this.settings.deflate ? got : 0)) throw new Error(`${compressed} of ${got} were compressed`)
    return {
      cpuUsPerDelivery: cpuUs / delivered,
      cpuUsPerEvent: cpuUs / events,
      deliveriesPerSecond: (delivered / wallMs) * 1000
    }
  }
}
