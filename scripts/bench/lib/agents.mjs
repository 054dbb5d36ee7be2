/** Names of agents, known to the servers (who publish about them) and to the load client (who filters by them). Short: they make events of 155 bytes. */
export const agentName = (index) => `a${String(index).padStart(4, "0")}`
