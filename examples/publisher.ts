/** An agent of another process, as a gateway on this machine shows it: at work for a minute, then offline. */
import { setTimeout as sleep } from "node:timers/promises"
import { createPublisher } from "stratix-status-sync/publisher"

const publisher = createPublisher({ url: "http://127.0.0.1:3001" })
const scout = publisher.agent("agent-001", { name: "Scout", type: "researcher" })
scout.command("cmd-001", "running", { progress: 40 })

scout.status("busy")
await sleep(60_000)
scout.command("cmd-001", "success", { result: { pages: 12 } })
await publisher.close()
