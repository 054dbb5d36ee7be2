/** Attacks over WebSockets, and on the way to one. */
import {
  answerTo,
  closeAll,
  closeGently,
  crowd,
  event,
  get,
  large,
  post,
  raw,
  repeat,
  sleep,
  upgrade,
  webSocket
} from "./clients.mjs"

/** Milliseconds an attack goes on for. */
const LONG = 3000

const SECRET = "a-token-of-the-attack-script"
export const tokens = [{ name: "good", token: SECRET, permissions: ["subscribe", "operator"] }]

const json = (value) => JSON.stringify(value)

/** @type {ReadonlyArray<import("./attacks.mjs").Attack>} */
export const webSocketAttacks = [
  {
    name: "4 MiB published for 256 unread connections with equivalent filters",
    alone: true,
    // 64 MB, and what is published itself: the history keeps it.
    memory: 64 + 40,
    kept: 60,
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
    kept: 40 + 270 / 4,
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
      const sockets = await crowd(port, 2500, (n) => `/?agents=all,own-${n}`)
      const done = await repeat(LONG, 1, async () => {
        await post(port, json(event({ agentId: "all" })))
        await sleep(200)
      })
      await closeGently(sockets)
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
    name: "2,000 connections that end at the same moment",
    memory: 120,
    // Node takes up to 1,024 sockets in one turn: a server of `ws` alone that does nothing takes 70 to 81 ms. An event waits for two such turns.
    stretch: 150,
    p99: 200,
    run: async (port) => {
      const sockets = await crowd(port, 2000, () => "/?agents=none")
      closeAll(sockets)
      await sleep(1000)
      return { did: "2,000 connections" }
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
  }
]
