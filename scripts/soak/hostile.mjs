/** Clients that mean harm, or are broken: each attack ends by itself, and answers with what the gateway did to it. */
import { randomBytes } from "node:crypto"
import { request } from "node:http"
import { connect } from "node:net"
import WebSocket from "ws"

const HOST = "127.0.0.1"

/** Twice the longest time after which the gateway ends an attack (60 s without a sign of life), and more: the machine may be busy. */
const PATIENCE_MS = 150_000

/** By then the gateway has given up one who shows no sign of life. */
const LOOK_MS = 70_000

/** Of attacks that the end of the run found under way. */
export const CUT_SHORT = "cut short"

/** Their ends. */
const underWay = new Set()

/** Ends what is still under way. */
export const cutShort = () => {
  for (const end of [...underWay]) end()
}

/** Sees to it that an attack ends: by `end`, after the patience, or when it is cut short. Answers what to call when it has. */
const bounded = (end) => {
  const cut = () => end(CUT_SHORT)
  const timer = setTimeout(() => end("patience"), PATIENCE_MS)
  underWay.add(cut)
  return () => {
    clearTimeout(timer)
    underWay.delete(cut)
  }
}

const upgrade = (path = "/", lines = "", version = "13") =>
  `GET ${path} HTTP/1.1\r\nHost: ${HOST}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: ${version}\r\n` +
  `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${lines}\r\n`

/** A socket that ends by itself: `begin` writes what it will; the answer is the status, `"ended"`, or why it was ended here. */
const raw = (port, begin) =>
  new Promise((resolve) => {
    const socket = connect(port, HOST)
    let head = ""
    let outcome = "ended"
    const over = bounded((how) => {
      outcome = how
      socket.destroy()
    })
    socket.on("data", (data) => {
      if (head.length < 16) head += data.toString("latin1")
    })
    socket.on("error", () => {})
    socket.on("close", () => {
      over()
      const status = /^HTTP\/1\.1 (\d+)/.exec(head)?.[1]
      resolve(status !== undefined && status !== "101" ? status : outcome)
    })
    socket.on("connect", () => begin(socket))
  })

/** A WebSocket of its own: `begin` does what it will once it is open; the answer is the close code. */
const webSocket = (port, begin) =>
  new Promise((resolve) => {
    const socket = new WebSocket(`ws://${HOST}:${port}/?events=soak_none`, { perMessageDeflate: false })
    let outcome
    const over = bounded((how) => {
      outcome = how
      socket.terminate()
    })
    socket.on("open", () => begin(socket))
    socket.on("error", () => {})
    socket.on("close", (code) => {
      over()
      resolve(outcome ?? String(code))
    })
  })

const http = (port, method, path, headers, body) =>
  new Promise((resolve) => {
    const sent = request({ port, host: HOST, method, path, headers, agent: false }, (response) => {
      response.resume()
      response.on("close", () => resolve(String(response.statusCode)))
    })
    sent.on("error", (/** @type {NodeJS.ErrnoException} */ error) => resolve(error.code))
    sent.end(body)
  })

const json = { "content-type": "application/json" }

/** By name: how long it may last is its own business; `expects` lists every way in which it may end. */
export const attacks = {
  frozen: {
    expects: ["ended"],
    run: (port) =>
      raw(port, (socket) => {
        socket.write(upgrade())
        socket.pause()
        // One who does not read is not told of its own end: it has to look.
        const timer = setTimeout(() => socket.resume(), LOOK_MS)
        socket.on("close", () => clearTimeout(timer))
      })
  },
  "junk frames": {
    expects: ["ended"],
    run: (port, random) =>
      raw(port, (socket) => {
        socket.write(upgrade())
        const bytes = randomBytes(random.between(1, 3000))
        // Reserved bits set: never a frame, whatever follows.
        bytes[0] = (bytes[0] ?? 0) | 0x70
        socket.once("data", () => socket.write(bytes))
      })
  },
  "reset in the handshake": {
    expects: ["ended"],
    run: (port, random) =>
      raw(port, (socket) => {
        const text = upgrade()
        socket.write(text.slice(0, random.between(0, text.length)))
        setImmediate(() => socket.resetAndDestroy())
      })
  },
  "reset while reading": {
    expects: ["ended"],
    run: (port) =>
      raw(port, (socket) => {
        socket.write(upgrade())
        socket.once("data", () => socket.resetAndDestroy())
      })
  },
  slowloris: {
    expects: ["408"],
    run: (port) =>
      raw(port, (socket) => {
        const text = upgrade("/", `X-Slow: ${"x".repeat(200)}\r\n`)
        let at = 0
        const timer = setInterval(() => socket.write(text[at++] ?? "x"), 500)
        socket.on("close", () => clearInterval(timer))
      })
  },
  "no request": { expects: ["408"], run: (port) => raw(port, () => {}) },
  "not HTTP": { expects: ["400"], run: (port) => raw(port, (socket) => socket.write("\x16\x03\x01\x02\x00\r\n\r\n")) },
  "large header": {
    expects: ["431", "ended"],
    run: (port) => raw(port, (socket) => socket.write(upgrade("/", `Cookie: ${"x".repeat(40_000)}\r\n`)))
  },
  "bad query": {
    expects: ["400"],
    run: (port, random) =>
      raw(port, (socket) =>
        socket.write(
          upgrade(`/?${random.pick(["snapshot=maybe", "agents=%zz", `agents=${"a,".repeat(2000)}`, "agents="])}`)
        )
      )
  },
  "other path": { expects: ["404"], run: (port) => raw(port, (socket) => socket.write(upgrade("/nowhere"))) },
  "other version": { expects: ["426"], run: (port) => raw(port, (socket) => socket.write(upgrade("/", "", "8"))) },
  "other origin": {
    expects: ["403"],
    run: (port) => raw(port, (socket) => socket.write(upgrade("/", "Origin: https://evil.example\r\n")))
  },
  oversize: { expects: ["1009"], run: (port) => webSocket(port, (socket) => socket.send("x".repeat(70_000))) },
  binary: { expects: ["1003"], run: (port) => webSocket(port, (socket) => socket.send(Buffer.alloc(8))) },
  malformed: {
    expects: ["1008"],
    run: (port, random) =>
      webSocket(port, (socket) => {
        for (let i = 0; i < 12; i++) {
          socket.send(random.pick(["{", "null", "[]", '{"type":"subscribe","agents":7}', "[".repeat(9000)]))
        }
      })
  },
  "pings without end": {
    expects: ["1008", "1006"],
    run: (port) =>
      webSocket(port, (socket) => {
        const flood = () => {
          if (socket.readyState !== WebSocket.OPEN) return
          for (let i = 0; i < 20; i++) socket.ping()
          setImmediate(flood)
        }
        flood()
      })
  },
  "wrong body": {
    expects: ["400"],
    run: (port, random) =>
      http(
        port,
        "POST",
        "/api/stratix/events",
        json,
        random.pick(["{", "[]", "7", '{"eventType":"x","payload":{}}', '[{"eventType":7}]'])
      )
  },
  "body of a form": {
    expects: ["415"],
    run: (port) => http(port, "POST", "/api/stratix/events", { "content-type": "text/plain" }, "{}")
  },
  "publishes from another origin": {
    expects: ["403"],
    run: (port) => http(port, "POST", "/api/stratix/events", { ...json, origin: "https://evil.example" }, "{}")
  },
  "large body": {
    expects: ["413"],
    run: (port) => http(port, "POST", "/api/stratix/events", json, `"${"x".repeat(5_000_000)}"`)
  }
}
