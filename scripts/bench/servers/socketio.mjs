/** socket.io over its WebSocket transport; filters are rooms. */
import { once } from "node:events"
import { createServer } from "node:http"
import { Server } from "socket.io"
import { portOf } from "../../lib/port.mjs"
import { agentStatus, commandResult } from "./event.mjs"
import { serve } from "./harness.mjs"

serve(async ({ heartbeatMs }) => {
  const http = createServer()
  const pings = heartbeatMs === undefined ? {} : { pingInterval: heartbeatMs, pingTimeout: heartbeatMs * 2 }
  const io = new Server(http, { transports: ["websocket"], serveClient: false, ...pings })
  let filtered = false
  io.on("connection", (socket) => {
    const { agents } = socket.handshake.query
    if (agents === undefined) return
    filtered = true
    socket.join(agents.split(","))
  })
  http.listen(0, "127.0.0.1")
  await once(http, "listening")

  const send = (event) => (filtered ? io.to(event.payload.agentId) : io).emit("status", event)
  return {
    port: portOf(http),
    publish: (agentIds) => {
      for (const agentId of agentIds) send(agentStatus(agentId))
    },
    publishResult: (text) => send(commandResult(text))
  }
})
