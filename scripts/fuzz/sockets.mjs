/** What only a real socket can be sent: frames byte by byte, request heads, HTTP bodies. */
import { Agent, request } from "node:http"
import { connect } from "node:net"
import { Effect } from "effect"
import { NodeServer, StatusSync } from "stratix-status-sync"
import { Broadcast } from "stratix-status-sync/internals"
import { StatusSyncTest } from "stratix-status-sync/testing"
import { portOf } from "../lib/port.mjs"
import { seeded } from "../lib/seeded.mjs"
import { inputs } from "./inputs.mjs"
import { checkGood, errorsTo, goodClients } from "./memory.mjs"
import { CLOSE_CODES, STATUSES } from "./outcome.mjs"

/** Connections of the fuzzer at a time. */
const AT_ONCE = 16

/** A gateway that says nothing for so long to one who waits for its end is stuck. */
const PATIENCE_MS = 20_000

const PUBLISH_EVERY = 20

/** The server's frames in these bytes: `{ texts, close }`; throws where they are none. */
const framesIn = (bytes) => {
  const texts = []
  let close
  let at = 0
  while (at + 2 <= bytes.length) {
    const opcode = bytes[at] & 0x0f
    if ((bytes[at] & 0xf0) !== 0x80) throw new Error(`a frame that begins with ${bytes[at]}`)
    if ((bytes[at + 1] & 0x80) !== 0) throw new Error("a masked frame of the server")
    if (close !== undefined) throw new Error("a frame after the close")
    const short = bytes[at + 1]
    const start = at + (short < 126 ? 2 : short === 126 ? 4 : 10)
    if (start > bytes.length) break
    const length =
      short < 126 ? short : short === 126 ? bytes.readUInt16BE(at + 2) : Number(bytes.readBigUInt64BE(at + 2))
    if (start + length > bytes.length) break
    if (opcode === 0x1) texts.push(JSON.parse(bytes.toString("utf8", start, start + length)))
    else if (opcode === 0x8) close = length === 0 ? 1005 : bytes.readUInt16BE(start)
    else if (opcode !== 0x9 && opcode !== 0xa) throw new Error(`opcode ${opcode}`)
    at = start + length
  }
  return { texts, close }
}

/** Sends these bytes on a socket of its own; answers everything that came back, once the socket has ended. `reset` after that many bytes were written. */
const exchange = (port, chunks, reset) =>
  new Promise((resolve, reject) => {
    const got = []
    const timer = setTimeout(() => {
      socket.destroy()
      reject(new Error("the gateway neither answered nor ended the socket"))
    }, PATIENCE_MS)
    const socket = connect(port, "127.0.0.1", () => {
      for (const chunk of chunks) socket.write(chunk)
      if (reset) setImmediate(() => socket.resetAndDestroy())
      else socket.end()
    })
    socket.on("data", (data) => got.push(data))
    socket.on("error", () => {})
    socket.on("close", () => {
      clearTimeout(timer)
      resolve(Buffer.concat(got))
    })
  })

const POST = { method: "POST", path: "/api/stratix/events" }
const ROUTES = [
  POST,
  POST,
  POST,
  { method: "PUT", path: "/api/stratix/agents/a/status" },
  { method: "PUT", path: "/api/stratix/agents/%00/status" },
  { method: "PUT", path: "/api/stratix/commands/%F0%9F%91%8D/status" },
  { method: "POST", path: "/api/stratix/agents" },
  { method: "GET", path: "/api/stratix/state?x=%zz" },
  { method: "PATCH", path: "/api/stratix/events" },
  { method: "PUT", path: "/api/stratix/agents/%zz/status" },
  { method: "POST", path: "//api/../stratix/events" }
]

const drive = (outcome, count, seed, port, publish) => {
  const random = seeded(seed ^ 0x5eed)
  const make = inputs(random)
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE })
  let sent = 0
  const spend = (kind, n) => {
    outcome.input(kind, n)
    const before = Math.floor(sent / PUBLISH_EVERY)
    sent += n
    return Math.floor(sent / PUBLISH_EVERY) > before ? publish() : undefined
  }

  const head = (path, headers, first = `GET ${path} HTTP/1.1`) =>
    [
      first,
      ...Object.entries({
        host: "127.0.0.1",
        upgrade: "websocket",
        connection: "Upgrade",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        ...headers
      }).map(([name, value]) => `${name}: ${value}`),
      "",
      ""
    ].join("\r\n")

  /** Looks at an answer to a handshake, and at the frames behind it. */
  const judge = (bytes, sentBytes, wasReset) => {
    const show = sentBytes.toString("latin1")
    if (bytes.length === 0) {
      outcome.end(wasReset ? "reset by the fuzzer" : "ended without an answer")
      return
    }
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(bytes.toString("latin1", 0, 16))?.[1])
    if (!STATUSES.has(status)) outcome.breaks(`answered with ${bytes.toString("latin1", 0, 40)}`, show)
    const end = bytes.indexOf("\r\n\r\n")
    if (status !== 101) {
      outcome.end(`status ${status}`)
      return
    }
    try {
      const { close, texts } = framesIn(bytes.subarray(end + 4))
      if (texts.length > 0 && texts[0].eventType !== "stratix:connected")
        outcome.breaks("the welcome was not first", texts[0])
      outcome.end(
        close === undefined
          ? "ended without a close frame"
          : CLOSE_CODES.has(close)
            ? `close ${close}`
            : "close with the fuzzer's own code"
      )
      // A close frame of the client is answered with its own code.
      if (close !== undefined && !CLOSE_CODES.has(close) && !sentBytes.includes(0x88))
        outcome.breaks(`closed with ${close}`, show)
    } catch (error) {
      outcome.breaks(`not frames of a server: ${error instanceof Error ? error.message : error}`, show)
    }
  }

  const frames = async () => {
    const made = Array.from({ length: random.between(5, 30) }, make.frame)
    await spend("frames", made.length)
    const chunks = [Buffer.from(head("/?events=fuzz_none", {}), "latin1"), ...made]
    const reset = random.chance(0.1)
    judge(
      await exchange(port, random.chance(0.5) ? [Buffer.concat(chunks)] : chunks, reset),
      Buffer.concat(made),
      reset
    )
  }
  const handshake = async () => {
    await spend("request heads", 1)
    const dice = random.next()
    const path = `/?${make.query("abc-1-0").replace(/[^!-~]/g, "")}`
    const text = head(
      path,
      make.headers(),
      dice < 0.9
        ? undefined
        : `${random.pick(["GET", "POST", "G\0T", ""])} ${path} HTTP/${random.pick(["1.0", "1.1", "2.0", "9"])}`
    )
    const bytes = Buffer.from(dice < 0.5 ? text : make.spoil(text), "latin1")
    const reset = random.chance(0.1)
    judge(await exchange(port, [bytes], reset), bytes, reset)
  }
  const body = async () => {
    await spend("HTTP bodies", 1)
    const { method, path } = random.pick(ROUTES)
    const text = make.body()
    const headers = {
      "content-type": random.chance(0.95) ? "application/json" : make.word().replace(/[^ -~]/g, "") || "x"
    }
    if (random.chance(0.1)) headers.origin = random.pick(["https://evil.example", "null", "http://localhost"])
    await new Promise((/** @type {(answered: void) => void} */ resolve) => {
      const asked = request({ port, host: "127.0.0.1", agent, method, path, headers }, (response) => {
        const chunks = []
        response.on("data", (chunk) => chunks.push(chunk))
        response.on("end", () => {
          const { statusCode = 0 } = response
          outcome.end(`status ${statusCode}`)
          if (!STATUSES.has(statusCode)) outcome.breaks(`answered with ${statusCode}`, { method, path, headers, text })
          try {
            const answer = JSON.parse(Buffer.concat(chunks).toString())
            if (statusCode >= 400 && (typeof answer.error !== "string" || typeof answer.message !== "string"))
              outcome.breaks("a refusal without its reason", answer)
          } catch {
            outcome.breaks("an answer that is not JSON", {
              status: statusCode,
              method,
              path,
              answer: Buffer.concat(chunks).toString()
            })
          }
          resolve()
        })
      })
      asked.on("error", (error) => {
        outcome.breaks(`no answer: ${error.message}`, { method, path, headers, text })
        resolve()
      })
      asked.end(text)
    })
  }

  const worker = async () => {
    while (sent < count) {
      const dice = random.next()
      await (dice < 0.4 ? body() : dice < 0.6 ? handshake() : frames()).catch((error) =>
        outcome.breaks(error.message, "see the seed")
      )
    }
  }
  return Promise.all(Array.from({ length: AT_ONCE }, worker)).finally(() => agent.destroy())
}

const run = (outcome, count, seed) =>
  Effect.gen(function* () {
    const sync = yield* StatusSync.StatusSync
    const server = yield* NodeServer.NodeServer
    const good = yield* goodClients
    const expected = []
    const publish = () => {
      const requestId = `good-${expected.length}`
      expected.push(requestId)
      return Effect.runPromise(
        sync.broadcastUnknown({
          eventType: "stratix:agent_status_update",
          payload: { agentId: "good", status: "busy" },
          requestId
        })
      )
    }
    yield* Effect.promise(() => drive(outcome, count, seed, portOf(server), publish))
    // One more, and all of them have been read once the good clients have it.
    yield* Effect.promise(publish)
    for (const client of good) {
      let id
      while (id !== expected.at(-1)) id = (yield* client.take).requestId
    }
    yield* checkGood(good, expected, outcome)
    for (const client of good) yield* client.close()
    const { stats } = yield* Broadcast.Broadcast
    const left = sync.clientCount
    yield* Effect.gen(function* () {
      while ((yield* left) !== 0 || stats().groups !== 0) yield* Effect.sleep("5 millis")
    }).pipe(
      Effect.timeout("20 seconds"),
      Effect.catchAll(() =>
        Effect.map(left, (count) => outcome.breaks("the pool is not empty", { count, groups: stats().groups }))
      )
    )
    outcome.end(`good events delivered exactly ×${good.length}: ${expected.length}`)
  })

/** Sends at least `count` inputs; whatever must not be is in the outcome.
 * @type {(outcome: import("./outcome.mjs").Outcome, count: number, seed: number) => import("effect").Effect.Effect<void, unknown>} */
export const fuzzSockets = (outcome, count, seed) =>
  run(outcome, count, seed).pipe(
    Effect.provide(StatusSyncTest.layerWs({ maxConnections: 200, drainTimeout: "5 seconds" })),
    Effect.provide(errorsTo(outcome)),
    Effect.scoped
  )
