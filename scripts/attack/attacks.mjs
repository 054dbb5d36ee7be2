/** Each attack that was once seen to hurt: what it does, and what the others and the gateway's memory may feel of it. */
import { answerTo, get, post, raw, read, repeat, sleep, statusOf, upgrade, webSocket } from "./clients.mjs"
import { publisherAttacks } from "./publishers.mjs"

const MB = 1024 ** 2

/** Milliseconds an attack goes on for. */
const LONG = 3000

const SECRET = "a-token-of-the-attack-script"
export const tokens = [{ name: "good", token: SECRET, permissions: ["subscribe", "operator"] }]

const event = (payload) => ({ eventType: "stratix:blob", payload })
const json = (value) => JSON.stringify(value)

/** 4 MiB in events of 250 KB. */
const large = (agentId) =>
  json(Array.from({ length: 16 }, (_, n) => event({ agentId, n, pad: "x".repeat(250 * 1024) })))

/** A payload of some `bytes`, nested 60 deep. */
const deep = (bytes) => {
  const leaves = `${"1,".repeat(bytes / 2)}1`
  return `{"eventType":"stratix:blob","payload":{"a":${"[".repeat(58)}${leaves}${"]".repeat(58)}}}`
}

const closeAll = (sockets) => {
  for (const socket of sockets) socket.terminate?.() ?? socket.destroy?.()
}

/**
 * `memory` is what may be held above idle, in MB; `p99` and `max` are the bystanders' latencies, in ms. `fails` says what else is wrong with how
 * it ended. `alone` says that it publishes, or needs what is published, so that a soak has no use for it. Where nothing is said, 64 MB and 50 ms at the 99th percentile.
 *
 * @typedef {object} Attack
 * @property {string} name
 * @property {(port: any, random: ReturnType<typeof import("../lib/seeded.mjs").seeded>) => Promise<{ readonly did: string, readonly ended?: string, readonly fails?: boolean }>} run
 * @property {number} [keys]
 * @property {typeof tokens} [tokens]
 * @property {number} [memory]
 * @property {number} [p99]
 * @property {number} [max]
 * @property {number} [stretch]
 * @property {boolean} [alone]
 * @property {number} [descriptors]
 * @property {{ readonly shell?: string, readonly unshare?: boolean, readonly node?: string, readonly execArgv?: ReadonlyArray<string>, readonly traces?: string }} [gateway]
 */

/** @type {ReadonlyArray<Attack>} */
export const attacks = [
  {
    name: "1,477 pipelined GETs of the state in one packet, unread, twice a second",
    keys: 2000,
    memory: 40,
    run: async (port) => {
      const packet = get("/api/stratix/state").repeat(1477)
      const done = await repeat(LONG, 1, async () => {
        const { socket } = raw(port)
        socket.pause()
        socket.write(packet)
        await sleep(500)
        socket.destroy()
      })
      return { did: `${done} packets` }
    }
  },
  {
    name: "/openapi.json over 100 connections, 16 pipelined on each, unread",
    memory: 40,
    run: async (port) => {
      const packet = get("/openapi.json").repeat(16)
      const done = await repeat(LONG, 100, async () => {
        const { socket } = raw(port)
        socket.pause()
        socket.write(packet)
        await sleep(1000)
        socket.destroy()
      })
      return { did: `${done} packets` }
    }
  },
  {
    name: "a body in chunks of one byte, 24 MB on the wire",
    run: async (port) => {
      const { closed, socket } = raw(port, { reads: true })
      socket.write(
        get("/api/stratix/events", "Transfer-Encoding: chunked\r\nContent-Type: application/json\r\n").replace(
          "GET",
          "POST"
        )
      )
      const chunks = "1\r\nx\r\n".repeat(10_000)
      for (let n = 0; n < 400 && !socket.destroyed; n++) await new Promise((resolve) => socket.write(chunks, resolve))
      socket.end("0\r\n\r\n")
      const text = await Promise.race([closed, sleep(3000).then(() => "")])
      return { did: "1 body", ended: String(statusOf(String(text))) }
    }
  },
  {
    name: "300 MB of values in 1,200 keys",
    alone: true,
    memory: 450,
    run: async (port) => {
      const pad = "x".repeat(250 * 1024)
      for (let n = 0; n < 1200; n += 15) {
        const events = Array.from({ length: 15 }, (_, i) => ({
          eventType: "stratix:command_status_update",
          payload: { commandId: `c${n + i}`, agentId: "a", commandStatus: "running", result: pad }
        }))
        await post(port, json(events))
      }
      return { did: "80 bodies" }
    }
  },
  {
    name: "4 MiB published for 256 unread connections with equivalent filters",
    alone: true,
    // 64 MB, and what is published itself: the history keeps it.
    memory: 64 + 40,
    run: async (port, random) => {
      const sockets = await Promise.all(
        Array.from({ length: 256 }, () => {
          const from = random.between(0, 7)
          const names = Array.from({ length: 8 }, (_, i) => `a${(i + from) % 8}`)
          return webSocket(port, { path: `/?agents=${names.join()}`, reads: false })
        })
      )
      const statuses = []
      for (let n = 0; n < 4; n++) statuses.push(await post(port, large(`a${n}`)))
      await sleep(1000)
      closeAll(sockets)
      return {
        did: "256 connections, 16 MiB",
        ended: statuses.join(),
        fails: statuses.some((status) => status !== 202)
      }
    }
  },
  {
    name: "4 MiB published for 270 unread connections with different filters",
    alone: true,
    // Each has frames of its own, and may leave 256 KiB unread.
    memory: 64 + 40 + 270 / 4,
    run: async (port) => {
      const sockets = await Promise.all(
        Array.from({ length: 270 }, (_, n) => webSocket(port, { path: `/?agents=all,own-${n}`, reads: false }))
      )
      for (let n = 0; n < 4; n++) await post(port, large("all"))
      await sleep(1000)
      closeAll(sockets)
      return { did: "270 connections, 16 MiB" }
    }
  },
  {
    name: "2,500 connections with different filters, events for all of them",
    alone: true,
    memory: 120,
    run: async (port) => {
      const sockets = []
      for (let n = 0; n < 2500; n += 100) {
        const path = (i) => `/?agents=all,own-${n + i}`
        sockets.push(...(await Promise.all(Array.from({ length: 100 }, (_, i) => webSocket(port, { path: path(i) })))))
      }
      const done = await repeat(LONG, 1, async () => {
        await post(port, json(event({ agentId: "all" })))
        await sleep(200)
      })
      closeAll(sockets)
      return { did: `${done} events` }
    }
  },
  {
    name: "forged offsets as `since`",
    run: async (port, random) => {
      const probe = await webSocket(port, { protocols: ["stratix.sync.v1"], reads: false })
      const welcome = new Promise((resolve) => probe.once("message", (data) => resolve(JSON.parse(data.toString()))))
      probe.resume()
      const { payload } = await welcome
      const [epoch, seq] = payload.head.split("-")
      let syncs = 0
      const sockets = await Promise.all(
        Array.from({ length: 50 }, async (_, n) => {
          const socket = await webSocket(port, {
            path: `/?agents=none&since=${epoch}-${seq}-${(n + random.between(7, 7000)).toString(36)}`,
            protocols: ["stratix.sync.v1"]
          })
          socket.on("message", (data) => {
            if (data.toString().includes('"stratix:sync"')) syncs++
          })
          return socket
        })
      )
      await sleep(LONG / 2)
      closeAll([probe, ...sockets])
      return { did: "50 connections", ended: `${syncs} catch-ups`, fails: syncs > 100 }
    }
  },
  {
    name: "a foreign Host over loopback (DNS rebinding), on routes and upgrade",
    run: async (port) => {
      const foreign = (request) => request.replace(/Host: [^\r]+/, "Host: evil.example:3001")
      const statuses = []
      for (const path of ["/api/stratix/state", "/api/stratix/connections", "/metrics", "/healthz"]) {
        statuses.push(statusOf(await answerTo(port, foreign(get(path, "Connection: close\r\n")))))
      }
      statuses.push(statusOf(await answerTo(port, foreign(upgrade()))))
      return { did: "5 requests", ended: statuses.join(), fails: statuses.some((status) => status !== "403") }
    }
  },
  {
    name: "subscribe with 16,000 duplicate values, 90 a second",
    run: async (port) => {
      const message = json({ type: "subscribe", agents: Array.from({ length: 16_000 }, () => "a") })
      const done = await repeat(LONG, 4, async () => {
        const socket = await webSocket(port).catch(() => undefined)
        for (let n = 0; n < 20 && socket?.readyState === 1; n++) {
          socket.send(message)
          await sleep(11)
        }
        socket?.terminate()
      })
      return { did: `${done} connections` }
    }
  },
  {
    name: "subscribe with 1,000 different values, 8 clients, 90 a second each",
    run: async (port) => {
      const message = (n) =>
        json({ type: "subscribe", agents: Array.from({ length: 1000 }, (_, i) => `agent-${n}-${i}`.padEnd(50, "x")) })
      const done = await repeat(LONG, 8, async (turn) => {
        const socket = await webSocket(port).catch(() => undefined)
        for (let n = 0; n < 40 && socket?.readyState === 1; n++) {
          socket.send(message(turn * 100 + n))
          await sleep(11)
        }
        socket?.terminate()
      })
      return { did: `${done} connections` }
    }
  },
  {
    name: "200 connections, each with the largest filter there is",
    run: async (port) => {
      const sockets = []
      for (let n = 0; n < 200; n++) {
        const socket = await webSocket(port)
        const answered = new Promise((resolve) =>
          socket.on("message", (data) => {
            if (data.toString().includes('"stratix:subscribed"')) resolve(undefined)
          })
        )
        const agents = Array.from({ length: 1000 }, (_, i) => `agent-${n}-${i}`.padEnd(58, "x"))
        socket.send(json({ type: "subscribe", agents }))
        await answered
        sockets.push(socket)
      }
      closeAll(sockets)
      return { did: "200 filters" }
    }
  },
  {
    name: "60 unread GETs of a state of 20 MB",
    alone: true,
    keys: 100_000,
    memory: 120,
    run: async (port) => {
      const opened = Array.from({ length: 60 }, () => raw(port))
      for (const { socket } of opened) {
        socket.pause()
        socket.write(get("/api/stratix/state"))
        await sleep(30)
      }
      await sleep(LONG)
      const bytes = await read(port, "/api/stratix/state")
      closeAll(opened.map(({ socket }) => socket))
      return { did: "60 requests", ended: `one more: ${(bytes / MB).toFixed(1)} MB`, fails: bytes < 15 * MB }
    }
  },
  {
    name: "GET of a state of 100,000 keys in a loop, 8 clients",
    keys: 100_000,
    memory: 200,
    max: 50,
    run: async (port) => ({ did: `${await repeat(LONG, 8, () => read(port, "/api/stratix/state"))} states` })
  },
  {
    name: "4 MiB published for 200 event streams, a third of them unread, a third cut",
    alone: true,
    // What the history keeps, and 256 KiB for each that reads nothing.
    memory: 64 + 40 + 200 / 4,
    run: async (port, random) => {
      const streams = await Promise.all(
        Array.from({ length: 200 }, async () => {
          const { connected, socket } = raw(port)
          await connected
          socket.write(get("/api/stratix/stream?agents=all"))
          const kind = random.pick(["unread", "cut", "read"])
          if (kind === "unread") socket.pause()
          else socket.resume()
          return { kind, socket }
        })
      )
      await sleep(300)
      const statuses = []
      for (let n = 0; n < 4; n++) {
        statuses.push(await post(port, large("all")))
        for (const { kind, socket } of streams) if (kind === "cut") socket.resetAndDestroy()
      }
      await sleep(1000)
      closeAll(streams.map(({ socket }) => socket))
      return { did: "200 streams, 16 MiB", fails: statuses.some((status) => status !== 202) }
    }
  },
  {
    name: "GET of the history with a filter that nothing passes, over all of it, 16 clients",
    keys: 20_000,
    run: async (port, random) => {
      const path = () => `/api/stratix/history?limit=1000&agents=none-${random.between(0, 999)}`
      return { did: `${await repeat(LONG, 16, () => read(port, path()))} answers` }
    }
  },
  {
    name: "GET of the connections and of the diagnostics in a loop, with 2,000 connections",
    memory: 120,
    run: async (port) => {
      const sockets = []
      for (let n = 0; n < 2000; n += 100)
        sockets.push(
          ...(await Promise.all(Array.from({ length: 100 }, () => webSocket(port, { path: "/?agents=none" }))))
        )
      const lists = repeat(LONG, 4, () => read(port, "/api/stratix/connections"))
      const looks = repeat(LONG, 4, () => read(port, "/api/stratix/diagnostics"))
      const did = `${await lists} lists, ${await looks} diagnoses`
      // That many ends at the same moment are an attack of their own.
      for (let n = 0; n < sockets.length; n += 100) {
        closeAll(sockets.slice(n, n + 100))
        await sleep(50)
      }
      return { did }
    }
  },
  {
    name: "2,000 connections that end at the same moment",
    memory: 120,
    // Node takes up to 1,024 sockets in one turn: a server of `ws` alone that does nothing takes 70 to 81 ms.
    stretch: 150,
    run: async (port) => {
      const sockets = []
      for (let n = 0; n < 2000; n += 100)
        sockets.push(
          ...(await Promise.all(Array.from({ length: 100 }, () => webSocket(port, { path: "/?agents=none" }))))
        )
      closeAll(sockets)
      await sleep(1000)
      return { did: "2,000 connections" }
    }
  },
  {
    name: "an Idempotency-Key with a URL of 12 KB for each event, as fast as they go",
    alone: true,
    run: async (port, random) => {
      const body = json(event({ agentId: "a" }))
      const done = await repeat(LONG, 16, (n) =>
        post(port, body, `/api/stratix/events?${n}-${random.between(0, 999)}=${"x".repeat(12_000)}`, {
          "idempotency-key": `key-${n}`
        })
      )
      return { did: `${done} events` }
    }
  },
  {
    name: "50,000 leases that run out at the same moment",
    alone: true,
    memory: 150,
    run: async (port) => {
      const status = (agentId) => ({
        eventType: "stratix:agent_status_update",
        payload: { agentId, status: "busy" },
        leaseMs: 5000
      })
      const statuses = []
      for (let n = 0; n < 50; n++)
        statuses.push(await post(port, json(Array.from({ length: 1000 }, (_, i) => status(`leased-${n}-${i}`)))))
      await sleep(6000)
      const left = await read(port, "/api/stratix/state?agents=leased-0-0")
      return {
        did: "50 bodies",
        ended: `state of one: ${left} bytes`,
        fails: statuses.some((status) => status !== 202)
      }
    }
  },
  {
    name: "made-up tenants, keys and types: states, streams and removals",
    alone: true,
    run: async (port, random) => {
      const name = () => `made-up-${random.between(0, 1e9)}`
      const statuses = new Set()
      const done = await repeat(LONG, 12, async (n) => {
        const path = [
          () => `/api/stratix/state?tenant=${name()}`,
          () => `/api/stratix/stream?tenant=${name()}&since=${name()}`,
          () => `/api/stratix/history?until=${name()}&events=${name()}`
        ][n % 4]
        if (path !== undefined)
          statuses.add(statusOf(await answerTo(port, get(path(), "Connection: close\r\n"), /^HTTP/)))
        else
          statuses.add(
            String(
              await post(port, json({ eventType: "stratix:key_remove", payload: { eventType: name(), key: name() } }))
            )
          )
      })
      return { did: `${done} requests`, ended: [...statuses].sort().join(), fails: statuses.has("500") }
    }
  },
  {
    name: "a GET of 200 KB pipelined before an upgrade",
    keys: 1000,
    run: async (port) => {
      const text = await answerTo(port, get("/api/stratix/state") + upgrade(), /HTTP\/1\.1 101[\s\S]*Connected/)
      const at = text.indexOf("HTTP/1.1 101")
      const isWhole = at > 0 && text.startsWith("HTTP/1.1 200") && !text.slice(at + 12).includes("HTTP/1.1")
      return { did: "1 packet", ended: isWhole ? "200, then 101" : "mixed", fails: !isWhole }
    }
  },
  {
    name: "an event of 4 MiB, 60 deep, again and again",
    alone: true,
    run: async (port) => {
      const body = deep(4 * MB - 400)
      return { did: `${await repeat(LONG, 2, () => post(port, body))} bodies` }
    }
  },
  {
    name: "4 MiB of events with thousands of fields each, again and again",
    alone: true,
    run: async (port) => {
      const fields = Object.fromEntries(Array.from({ length: 16_000 }, (_, n) => [`k${n}`, n]))
      const body = json(Array.from({ length: 20 }, () => event(fields)))
      return { did: `${await repeat(LONG, 2, () => post(port, body))} bodies of ${(body.length / MB).toFixed(1)} MiB` }
    }
  },
  {
    name: "Upgrade: h2c on a route",
    run: async (port) => {
      const lines =
        "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n"
      const status = statusOf(await answerTo(port, get("/healthz", lines)))
      return { did: "1 request", ended: status, fails: status !== "200" }
    }
  },
  {
    name: "pings: 61 in one packet, then 2,000",
    run: async (port) => {
      const socket = await webSocket(port)
      let pongs = 0
      socket.on("pong", () => pongs++)
      socket.pause()
      for (let n = 0; n < 61; n++) socket.ping()
      socket.resume()
      await sleep(500)
      const isOpen = socket.readyState === 1
      const code = new Promise((resolve) => socket.on("close", resolve))
      for (let n = 0; n < 300; n++) socket.ping()
      const closed = await code
      return { did: "361 pings", ended: `${pongs} pongs, ${closed}`, fails: !isOpen || closed !== 1008 }
    }
  },
  {
    name: "junk upgrades without a token from 8 addresses, as fast as they go",
    alone: true,
    tokens,
    run: async (port) => {
      let good = 0
      let tried = 0
      const clients = repeat(LONG, 1, async () => {
        tried++
        const began = performance.now()
        const from = `127.0.1.${(tried % 40) + 1}`
        const socket = await webSocket(port, { from, token: SECRET }).catch(() => undefined)
        if (socket !== undefined && performance.now() - began < 2000) good++
        socket?.terminate()
        await sleep(50)
      })
      const junk = repeat(LONG, 64, async (n) => {
        const { closed, socket } = raw(port, { from: `127.0.2.${(n % 8) + 1}` })
        socket.on("data", () => undefined)
        socket.write(upgrade())
        await closed
      })
      await clients
      return {
        did: `${await junk} upgrades`,
        ended: `${good} of ${tried} good clients in`,
        fails: good < tried * 0.95
      }
    }
  },
  ...publisherAttacks
]
