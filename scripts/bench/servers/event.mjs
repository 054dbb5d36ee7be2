/** What the peers publish: what ours puts on the wire for `notifyAgentStatus`, stamped and encoded once per event. */
let last = 0
let repeated = 0

const requestId = (timestamp) => {
  if (timestamp > last) {
    last = timestamp
    repeated = 0
    return `stratix-req-${timestamp}`
  }
  return `stratix-req-${timestamp}-${++repeated}`
}

const event = (eventType, payload) => {
  const timestamp = Date.now()
  return { eventType, payload, timestamp, requestId: requestId(timestamp) }
}

export const agentStatus = (agentId) => event("stratix:agent_status_update", { agentId, status: "busy" })

export const commandResult = (result) =>
  event("stratix:command_status_update", {
    commandId: "cmd-00000",
    agentId: "agent-00000",
    commandStatus: "running",
    result
  })
