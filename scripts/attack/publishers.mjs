/** Attacks of those who may publish. A soak has no use for them: its ledger knows its own publishers only. */
import http from "node:http"
import { answerTo, closeAll, event, get, large, post, raw, read, repeat, sleep, statusOf } from "./clients.mjs"

const MB = 1024 ** 2

/** Milliseconds an attack goes on for. */
const LONG = 3000

/** Agents that have a lease. */
const LEASED = 20_000

/** Events, or agents, of one request, at the most. */
const AT_ONCE = 1000

/** Offsets that `STRATIX_IDEMPOTENCY_CAPACITY` has room for by default. */
const IDEMPOTENCY_CAPACITY = 100_000

const json = (value) => JSON.stringify(value)

/** Any request without a body; its status. */
const ask = (port, method, path, lines = "") =>
  answerTo(port, get(path, `Connection: close\r\n${lines}`).replace("GET", method), /^HTTP/).then(statusOf)

/** Publishes, and reads the answer. */
const asked = (port, path, body, headers = {}) =>
  new Promise((resolve) => {
    const sent = http.request(
      {
        port,
        host: "127.0.0.1",
        method: "POST",
        path,
        agent: false,
        headers: { "content-type": "application/json", ...headers }
      },
      (response) => {
        let text = ""
        response
          .setEncoding("utf8")
          .on("data", (data) => (text += data))
          .on("end", () => resolve({ status: response.statusCode, body: JSON.parse(text) }))
      }
    )
    sent.on("error", (error) => resolve({ status: error.message, body: {} }))
    sent.end(json(body))
  })

const status = (agentId, more = {}) => ({
  eventType: "stratix:agent_status_update",
  payload: { agentId, status: "busy" },
  ...more
})

/** Statuses of requests, each with how often it came. */
const tally = () => {
  const counts = new Map()
  return {
    add: (outcome) => counts.set(outcome, (counts.get(outcome) ?? 0) + 1),
    has: (outcome) => counts.has(outcome),
    text: () =>
      [...counts]
        .sort()
        .map(([outcome, count]) => `${outcome}: ${count}`)
        .join(", ")
  }
}

/** A payload of some `bytes`, nested 60 deep. */
const deep = (bytes) => {
  const leaves = `${"1,".repeat(bytes / 2)}1`
  return `{"eventType":"stratix:blob","payload":{"a":${"[".repeat(58)}${leaves}${"]".repeat(58)}}}`
}

/** @type {ReadonlyArray<import("./attacks.mjs").Attack>} */
export const publisherAttacks = [
  {
    name: "DELETE of keys: made-up ones, of the protocol's own types, without a key, as fast as they go",
    alone: true,
    run: async (port, random) => {
      await post(port, json(Array.from({ length: AT_ONCE }, (_, n) => status(`kept-${n}`))))
      const name = () => `made-up-${random.between(0, 1e9)}`
      const paths = [
        () => `stratix:blob?key=${name()}`,
        () => `stratix:${name()}?key=${name()}`,
        () => `stratix:agent_status_update?key=agent:kept-${random.between(0, AT_ONCE - 1)}`,
        () => `stratix:agent_status_update?key=kept-${random.between(0, AT_ONCE - 1)}`,
        () => `stratix:key_remove?key=${name()}`,
        () => "stratix:blob",
        () => "stratix:blob?key=",
        () => `stratix:blob?key=${"x".repeat(12_000)}`,
        () => `stratix:blob?key=a&key=b`,
        () => "%ff?key=%ff",
        () => `${"x".repeat(12_000)}?key=a`,
        () => `stratix:blob?key=${encodeURIComponent('"]}\u0000\u2028')}`
      ]
      const outcomes = tally()
      const done = await repeat(LONG, 16, async (n) => {
        const path = paths[n % paths.length]
        if (path !== undefined) outcomes.add(await ask(port, "DELETE", `/api/stratix/events/${path()}`))
      })
      const state = await answerTo(port, get("/api/stratix/state", "Connection: close\r\n"))
      const kept = state.match(/"agentId":"kept-/g)?.length ?? 0
      return {
        did: `${done} requests`,
        ended: `${outcomes.text()}; ${kept} of ${AT_ONCE} agents kept`,
        fails: outcomes.has("500") || outcomes.has("none") || kept !== AT_ONCE
      }
    }
  },
  {
    name: "the leases of 20,000 agents renewed by the thousand, half of them of agents that there are not",
    alone: true,
    // Its own agents: some 2 KB each with the lease, where one was told twice. And bodies of 260 KB as fast as they go: garbage that is old enough waits for a collection of everything.
    memory: 220,
    kept: 40,
    run: async (port, random) => {
      for (let n = 0; n < LEASED; n += AT_ONCE)
        await post(
          port,
          json(Array.from({ length: AT_ONCE }, (_, i) => status(`leased-${n + i}`, { leaseMs: 60_000 })))
        )
      const outcomes = tally()
      let wrong = 0
      const done = await repeat(LONG, 8, async () => {
        const unknown = random.between(0, AT_ONCE)
        const agents = Array.from({ length: AT_ONCE }, (_, i) =>
          i < unknown ? `nothing-${random.between(0, 1e9)}`.padEnd(250, "x") : `leased-${random.between(0, LEASED - 1)}`
        )
        const { body, status } = await asked(port, "/api/stratix/leases", { agents })
        outcomes.add(String(status))
        if (status === 200 && body.missing.length !== unknown) wrong++
      })
      const single = tally()
      await repeat(LONG / 3, 8, async (n) =>
        single.add(await ask(port, "PUT", `/api/stratix/agents/${n % 2 === 0 ? `leased-${n}` : `nothing-${n}`}/lease`))
      )
      return {
        did: `${done} requests of ${AT_ONCE}`,
        ended: `${outcomes.text()}; one by one ${single.text()}; ${wrong} wrong answers`,
        fails: wrong > 0 || outcomes.has("500") || single.has("500")
      }
    }
  },
  {
    name: "idempotency keys: one key from 16 publishers at once, a key for each of 1,000 events, junk as keys",
    alone: true,
    // Bodies of 200 KB as fast as they go: garbage that is old enough waits for a collection of everything. Some 10 to 20 MB of it are kept.
    memory: 150,
    run: async (port, random) => {
      const outcomes = tally()
      const told = new Set()
      const one = repeat(LONG, 16, async () => {
        const { body, status: answer } = await asked(port, "/api/stratix/events", status("once"), {
          "idempotency-key": "the-same"
        })
        outcomes.add(String(answer))
        if (answer === 202) told.add(json(body.offsets))
      })
      const many = repeat(LONG, 2, async (n) => {
        // One more, and the oldest key of all is forgotten: the one that is asked for again and again.
        if (n >= IDEMPOTENCY_CAPACITY / AT_ONCE - 2) return sleep(50)
        const events = Array.from({ length: AT_ONCE }, (_, i) => status(`many-${i}`))
        outcomes.add(
          String(await post(port, json(events), "/api/stratix/events", { "idempotency-key": `${n}-${random.next()}` }))
        )
      })
      const junk = repeat(LONG, 4, async (n) => {
        const key = ["", "x".repeat(12_000), "\xff\xfe", "a, b", '"quoted"'][n % 5] ?? ""
        outcomes.add(
          await answerTo(
            port,
            `DELETE /api/stratix/agents/nothing HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nIdempotency-Key: ${key}\r\n\r\n`,
            /^HTTP/
          ).then(statusOf)
        )
      })
      const done = (await one) + (await many) + (await junk)
      return {
        did: `${done} requests`,
        ended: `${outcomes.text()}; ${told.size} answer to the one key`,
        fails: outcomes.has("500") || told.size !== 1
      }
    }
  },
  {
    name: "300 MB of values in 1,200 keys",
    alone: true,
    // Of what is published `STRATIX_LATEST_BYTES`, 256 MiB, are kept.
    memory: 450,
    kept: 360,
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
    name: "4 MiB published for 200 event streams, a third of them unread, a third cut",
    alone: true,
    // What the history keeps, and 256 KiB for each that reads nothing.
    memory: 64 + 40 + 200 / 4,
    kept: 40 + 200 / 4,
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
    // Its own agents, 2 KB each with the event that ended the lease.
    memory: 150,
    kept: 100,
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
  }
]
