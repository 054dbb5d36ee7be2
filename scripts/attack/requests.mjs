/** Attacks over HTTP of those who read. */
import { answerTo, closeGently, crowd, get, post, raw, read, repeat, sleep, statusOf, upgrade } from "./clients.mjs"

/** Milliseconds an attack goes on for. */
const LONG = 3000

const MB = 1024 ** 2

/** @type {ReadonlyArray<import("./attacks.mjs").Attack>} */
export const requestAttacks = [
  {
    name: "1,477 pipelined GETs of the state in one packet, unread, twice a second",
    keys: 2000,
    memory: 20,
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
    memory: 20,
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
    name: "60 unread GETs of a state of 20 MB",
    alone: true,
    keys: 100_000,
    memory: 120,
    kept: 60,
    run: async (port) => {
      const opened = Array.from({ length: 60 }, () => raw(port))
      for (const { socket } of opened) {
        socket.pause()
        socket.write(get("/api/stratix/state"))
        await sleep(30)
      }
      await sleep(LONG)
      const bytes = await read(port, "/api/stratix/state")
      // What clients cost that end at the same moment has an attack of its own.
      await closeGently(
        opened.map(({ socket }) => socket),
        5
      )
      return { did: "60 requests", ended: `one more: ${(bytes / MB).toFixed(1)} MB`, fails: bytes < 15 * MB }
    }
  },
  {
    name: "GET of a state of 100,000 keys in a loop, 8 clients",
    keys: 100_000,
    // A state of 20 MB for those who read it, one for those who came later, and some.
    memory: 200,
    kept: 60,
    max: 50,
    run: async (port) => ({ did: `${await repeat(LONG, 8, () => read(port, "/api/stratix/state"))} states` })
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
      const sockets = await crowd(port, 2000, () => "/?agents=none")
      const lists = repeat(LONG, 4, () => read(port, "/api/stratix/connections"))
      const looks = repeat(LONG, 4, () => read(port, "/api/stratix/diagnostics"))
      const did = `${await lists} lists, ${await looks} diagnoses`
      await closeGently(sockets)
      return { did }
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
              await post(
                port,
                JSON.stringify({ eventType: "stratix:key_remove", payload: { eventType: name(), key: name() } })
              )
            )
          )
      })
      return { did: `${done} requests`, ended: [...statuses].sort().join(), fails: statuses.has("500") }
    }
  }
]
