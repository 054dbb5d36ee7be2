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

const WORDS = "agent build error file line passed report running step test took warning".split(" ")

/** The size of an event whose result is empty. */
const FRAME = Buffer.byteLength(JSON.stringify(commandResult("")))

/** A result that makes an event of `bytes`: words and numbers, always the same, which deflate makes three to four times smaller. */
export const resultOf = (bytes) => {
  let text = ""
  for (let n = 1; text.length < bytes - FRAME; n = (n * 48_271) % 2_147_483_647) {
    text += `${WORDS[n % WORDS.length]} ${n % 10_007} `
  }
  return text.slice(0, bytes - FRAME)
}
