/** uWebSockets.js: one topic for everybody; filters are topics. */
import { createRequire } from "node:module"
import { agentStatus, commandResult } from "./event.mjs"
import { serve } from "./harness.mjs"

// Straight to the native part: the package's own entry falls back to a JavaScript imitation without failing.
const { platform, arch, versions } = process
const uWS = createRequire(import.meta.url)(
  `@trufflesuite/uws-js-unofficial/binaries/uws_${platform}_${arch}_${versions.modules}.node`
)

const ALL = "all"

serve(async () => {
  let filtered = false
  const app = uWS.App().ws("/*", {
    upgrade: (response, request, context) => {
      const agents = request.getQuery("agents")
      response.upgrade(
        { topics: agents ? agents.split(",") : [ALL] },
        request.getHeader("sec-websocket-key"),
        request.getHeader("sec-websocket-protocol"),
        request.getHeader("sec-websocket-extensions"),
        context
      )
    },
    open: (socket) => {
      const { topics } = socket.getUserData()
      filtered = topics[0] !== ALL
      for (const topic of topics) socket.subscribe(topic)
    }
  })
  const listening = await new Promise((resolve) => app.listen("127.0.0.1", 0, resolve))

  const send = (event) => app.publish(filtered ? event.payload.agentId : ALL, JSON.stringify(event))
  return {
    port: uWS.us_socket_local_port(listening),
    publish: (agentIds) => {
      for (const agentId of agentIds) send(agentStatus(agentId))
    },
    publishResult: (text) => send(commandResult(text))
  }
})
