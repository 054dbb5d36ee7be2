/** The commands of one agent, from a gateway that asks for a token. */
import { connect } from "stratix-status-sync/client"

const client = connect("wss://gateway.example/", {
  filter: { agents: ["agent-001"], events: ["command_status_update"] },
  // Asked before every attempt, so that a token that has expired is replaced.
  token: async () => (await fetch("/token")).text()
})

client.on("stratix:command_status_update", ({ commandId, commandStatus, progress = 0 }) => {
  console.log(commandId, commandStatus, progress)
})

// Another agent from now on: the state is replaced when all of it has arrived.
export const show = (agentId: string) => client.subscribe({ agents: [agentId], events: ["command_status_update"] })
