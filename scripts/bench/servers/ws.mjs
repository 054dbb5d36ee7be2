/** The textbook loop over `ws`, at its fairest: the event is encoded once, then sent to each client. */
import { once } from "node:events"
import { createServer } from "node:http"
import { WebSocket, WebSocketServer } from "ws"
import { portOf } from "../../lib/port.mjs"
import { agentStatus, commandResult } from "./event.mjs"
import { serve } from "./harness.mjs"

const DEFLATE = { serverNoContextTakeover: true, clientNoContextTakeover: true, threshold: 0 }

/** The heartbeat of the `ws` documentation: one sweep over everybody. */
const heartbeat = (wss, intervalMs) => {
  const alive = new WeakSet()
  wss.on("connection", (client) => {
    alive.add(client)
    client.on("pong", () => alive.add(client))
  })
  setInterval(() => {
    for (const client of wss.clients) {
      if (!alive.delete(client)) client.terminate()
      else client.ping()
    }
  }, intervalMs)
}

serve(async ({ deflate, heartbeatMs }) => {
  const http = createServer()
  const wss = new WebSocketServer({ server: http, perMessageDeflate: deflate ? DEFLATE : false })
  const wanted = new WeakMap()
  let filtered = false
  wss.on("connection", (client, request) => {
    client.on("error", () => {})
    const agents = new URL(request.url ?? "/", "ws://localhost").searchParams.get("agents")
    if (agents === null) return
    filtered = true
    wanted.set(client, new Set(agents.split(",")))
  })
  if (heartbeatMs !== undefined) heartbeat(wss, heartbeatMs)
  http.listen(0, "127.0.0.1")
  await once(http, "listening")

  const send = (event) => {
    const text = JSON.stringify(event)
    const { agentId } = event.payload
    for (const client of wss.clients) {
      if (filtered && wanted.get(client)?.has(agentId) === false) continue
      if (client.readyState === WebSocket.OPEN) client.send(text)
    }
  }
  return {
    port: portOf(http),
    publish: (agentIds) => {
      for (const agentId of agentIds) send(agentStatus(agentId))
    },
    publishResult: (text) => send(commandResult(text)),
    same: async (messages, text) => {
      const bytes = Buffer.from(text)
      const sendAll = async (client) => {
        for (let i = 0; i < messages; i++) {
          await new Promise((/** @type {(sent: void) => void} */ resolve) =>
            client.send(bytes, { binary: false }, () => resolve())
          )
        }
      }
      await Promise.all(Array.from(wss.clients, sendAll))
    }
  }
})
