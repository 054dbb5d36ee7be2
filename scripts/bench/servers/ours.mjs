/** This package, composed as an application composes it, from what `npm run build` made. */
import { Effect, ManagedRuntime } from "effect"
import { NodeServer, StatusSync, StatusSyncServer } from "../../../dist/stratix-gateway/index.js"
import { portOf } from "../../lib/port.mjs"
import { serve } from "./harness.mjs"

const settingsOf = ({ deflate, heartbeatMs, linger = 0, metrics = true }) => ({
  port: 0,
  // Off, as no peer limits how fast clients come.
  handshakeRate: 0,
  metrics,
  linger,
  ...(deflate && { compression: true, compressionThreshold: 0 }),
  ...(heartbeatMs !== undefined && { heartbeatInterval: heartbeatMs, heartbeatTimeout: heartbeatMs * 2.5 })
})

serve(async (settings) => {
  const runtime = ManagedRuntime.make(StatusSyncServer.layerLoopback(settingsOf(settings)))
  const { http, status } = await runtime.runPromise(
    Effect.all({ http: NodeServer.NodeServer, status: StatusSync.StatusSync })
  )
  const notify = (agentId) => status.notifyAgentStatus(agentId, "busy")
  return {
    port: portOf(http),
    publish: (agentIds) => runtime.runSync(Effect.forEach(agentIds, notify, { discard: true })),
    publishResult: (text) =>
      runtime.runSync(status.notifyCommandStatus("cmd-00000", "agent-00000", "running", undefined, text))
  }
})
