/** Bun's own server: one topic for everybody; filters are topics. Runs in Bun. */
import { agentStatus, commandResult } from "./event.mjs"
import { serve } from "./harness.mjs"

const ALL = "all"

serve(async () => {
  let filtered = false
  const server = globalThis.Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request, self) => {
      const agents = new URL(request.url).searchParams.get("agents")
      if (self.upgrade(request, { data: agents === null ? [ALL] : agents.split(",") })) return
      return new Response("only WebSocket", { status: 426 })
    },
    websocket: {
      open: (socket) => {
        filtered = socket.data[0] !== ALL
        for (const topic of socket.data) socket.subscribe(topic)
      },
      message: () => {}
    }
  })

  const send = (event) => server.publish(filtered ? event.payload.agentId : ALL, JSON.stringify(event))
  return {
    port: server.port,
    publish: (agentIds) => {
      for (const agentId of agentIds) send(agentStatus(agentId))
    },
    publishResult: (text) => send(commandResult(text))
  }
})
