/** Surroundings in which the gateway may have to live: what keeps within its limits stays connected in each of them. */
import net from "node:net"
import { fileURLToPath } from "node:url"
import { EventStream } from "../lib/event-stream.mjs"
import { read, repeat, sleep, webSocket } from "./clients.mjs"

/** Milliseconds for which the clients are watched. */
const WATCHED = 6000

const CLIENTS = 40

/** Clients of every kind that read; how many of them were ended, and what each heard of the bystanders' events. */
const watch = async (port, ms, meanwhile = async () => "") => {
  let ended = 0
  const heard = []
  const sockets = await Promise.all(
    Array.from({ length: CLIENTS }, async (_, i) => {
      const query = "agents=bystander"
      const socket =
        i % 4 === 3
          ? new EventStream(port, `/api/stratix/stream?${query}`)
          : await webSocket(port, { path: `/?${query}`, protocols: i % 2 === 0 ? ["stratix.sync.v1"] : [] })
      heard[i] = 0
      socket.on("message", () => heard[i]++)
      socket.on("error", () => undefined)
      socket.on("close", () => ended++)
      return socket
    })
  )
  const [did] = await Promise.all([meanwhile(), sleep(ms)])
  const lost = ended
  const deaf = heard.filter((count) => count < 10).length
  for (const socket of sockets) socket.terminate()
  return {
    did: `${CLIENTS} clients for ${ms / 1000} s${did === "" ? "" : `; ${did}`}`,
    ended: `${lost} ended, ${deaf} heard nothing`,
    fails: lost + deaf > 0
  }
}

const file = (name) => fileURLToPath(new URL(name, import.meta.url))

/** More sockets than there are descriptors: they are told, or wait, and leave again. */
const crowd = async (port) => {
  const sockets = Array.from({ length: 300 }, () =>
    net.connect({ port, host: "127.0.0.1" }).on("error", () => undefined)
  )
  await sleep(2000)
  for (const socket of sockets) socket.destroy()
  await sleep(500)
  const after = await read(port, "/healthz")
  return `300 more sockets came and went, then /healthz: ${after > 0 ? "answered" : "NOT answered"}`
}

const scrapes = async (port, ms) =>
  `${await repeat(ms, 4, () => read(port, "/metrics"))} scrapes, ${await repeat(1, 1, () => read(port, "/metrics"))} more`

/**
 * `gateway` is how its process is begun: `shell` runs before it, `node` is the major version that runs it, `execArgv` are options of Node,
 * `traces` is where it exports them to. `descriptors` it may have once it has loaded its modules, of which Node opens hundreds at a time. No bound of memory: it is another one everywhere.
 *
 * @type {ReadonlyArray<import("./attacks.mjs").Attack>}
 */
export const environments = [
  {
    name: "environment: the wall clock jumps an hour ahead, back, and an hour back, every second",
    gateway: { execArgv: ["--import", file("jumping-clock.mjs")] },
    run: (port) => watch(port, WATCHED)
  },
  {
    name: "environment: a read-only file system",
    gateway: {
      shell: "mount -o remount,ro,bind / 2>/dev/null || mount --bind / / && mount -o remount,ro,bind /",
      unshare: true
    },
    run: (port) => watch(port, WATCHED)
  },
  {
    name: "environment: 200 file descriptors",
    descriptors: 200,
    run: (port) => watch(port, WATCHED, () => crowd(port))
  },
  ...["22", "24"].map((node) => ({
    name: `environment: Node ${node}`,
    gateway: { node },
    run: (port) => watch(port, WATCHED)
  })),
  {
    name: "environment: traces to a collector that is not there",
    gateway: { traces: "http://127.0.0.1:1/v1/traces" },
    run: (port) => watch(port, WATCHED)
  },
  {
    name: "environment: four Prometheus scrapers without a pause",
    run: (port) => watch(port, WATCHED, () => scrapes(port, WATCHED - 1000))
  },
  {
    name: "environment: ulimit -v of 2 GB, without the address space that V8 sets aside for WebAssembly",
    gateway: { shell: "ulimit -v 2000000", execArgv: ["--disable-wasm-trap-handler"] },
    run: (port) => watch(port, WATCHED)
  },
  {
    name: "environment: prlimit --data of 512 MB",
    gateway: { shell: "prlimit --data=536870912 --pid $$" },
    run: (port) => watch(port, WATCHED)
  }
].map((environment) => ({ memory: 512, stretch: Number.POSITIVE_INFINITY, ...environment }))
