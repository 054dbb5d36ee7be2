/** What attackers are made of. */
import http from "node:http"
import net from "node:net"
import WebSocket from "ws"

const HOST = "127.0.0.1"

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

const KEY = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

export const get = (path, lines = "") => `GET ${path} HTTP/1.1\r\nHost: ${HOST}\r\n${lines}\r\n`

export const upgrade = (path = "/", lines = "") =>
  get(path, `Upgrade: websocket\r\nConnection: Upgrade\r\n${KEY}${lines}`)

/** A TCP connection whose answers are read only if asked for.
 * @param {number} port
 * @param {{ readonly from?: string, readonly reads?: boolean }} [options] */
export const raw = (port, { from, reads = false } = {}) => {
  const socket = net.connect({ port, host: HOST, ...(from !== undefined && { localAddress: from }) })
  let text = ""
  socket.on("error", () => undefined)
  if (reads) socket.on("data", (data) => (text += data.toString("latin1")))
  const closed = new Promise((resolve) => socket.on("close", () => resolve(text)))
  return { socket, closed, text: () => text, connected: new Promise((resolve) => socket.once("connect", resolve)) }
}

/** What the gateway answers to this, until it ends the connection, the answer matches, or `ms` are over. */
export const answerTo = async (port, request, until = /^$/, ms = 10_000) => {
  const { closed, socket, text } = raw(port, { reads: true })
  const matches = new Promise((resolve) => socket.on("data", () => until.test(text()) && resolve(undefined)))
  socket.write(request)
  await Promise.race([closed, matches, sleep(ms)])
  socket.destroy()
  return text()
}

/** A status line's number. */
export const statusOf = (text) => /^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? "none"

/** A WebSocket; `reads` false: it reads nothing once it is open.
 * @param {number} port
 * @param {{ readonly path?: string, readonly protocols?: Array<string>, readonly reads?: boolean, readonly from?: string, readonly token?: string }} [options] */
export const webSocket = (port, { path = "/", protocols = [], reads = true, from, token } = {}) =>
  new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://${HOST}:${port}${path}`, protocols, {
      perMessageDeflate: false,
      ...(from !== undefined && { localAddress: from }),
      ...(token !== undefined && { headers: { authorization: `Bearer ${token}` } })
    })
    socket.once("open", () => {
      if (!reads) socket.pause()
      resolve(socket)
    })
    socket.on("error", reject)
  })

/** Publishes a body; its status. */
export const post = (port, body, path = "/api/stratix/events", headers = {}) =>
  new Promise((resolve) => {
    const sent = http.request(
      {
        port,
        host: HOST,
        method: "POST",
        path,
        agent: false,
        headers: { "content-type": "application/json", ...headers }
      },
      (response) => response.resume().on("end", () => resolve(response.statusCode))
    )
    sent.on("error", (error) => resolve(error.message))
    sent.end(body)
  })

/** Reads an answer to its end; its bytes. */
export const read = (port, path) =>
  new Promise((resolve) => {
    const sent = http.get({ port, host: HOST, path, agent: false }, (response) => {
      let bytes = 0
      response.on("data", (data) => (bytes += data.length)).on("close", () => resolve(bytes))
    })
    sent.on("error", () => resolve(0))
  })

/** Does it again and again, this many at a time, until the time is over; how often it was done. */
export const repeat = async (ms, atOnce, act) => {
  const end = performance.now() + ms
  let count = 0
  const one = async () => {
    while (performance.now() < end) {
      await act(count++)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, one))
  return count
}

export const event = (payload) => ({ eventType: "stratix:blob", payload })

/** 4 MiB in events of 250 KB. */
export const large = (agentId) =>
  JSON.stringify(Array.from({ length: 16 }, (_, n) => event({ agentId, n, pad: "x".repeat(250 * 1024) })))

export const closeAll = (sockets) => {
  for (const socket of sockets) socket.terminate?.() ?? socket.destroy?.()
}

/** So many WebSockets, a hundred at a time. */
export const crowd = async (port, count, pathOf) => {
  const sockets = []
  for (let n = 0; n < count; n += 100) {
    const some = Array.from({ length: 100 }, (_, i) => webSocket(port, { path: pathOf(n + i) }))
    sockets.push(...(await Promise.all(some)))
  }
  return sockets
}

/** Ends a crowd by the hundred: all at the same moment are an attack of their own. */
export const closeGently = async (sockets, atOnce = 100) => {
  for (let n = 0; n < sockets.length; n += atOnce) {
    closeAll(sockets.slice(n, n + atOnce))
    await sleep(50)
  }
}
