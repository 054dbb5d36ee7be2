/** A program whose one agent is at work until it is told to end. */
import { createPublisher } from "../../../src/stratix-publisher/Publisher.js"

const [url = "", lease = ""] = process.argv.slice(2)
const publisher = createPublisher({ url, leaseMs: Number(lease) })
const agent = publisher.agent("agent-001", { name: "Scout", type: "researcher" })
agent.command("cmd-001", "running", { progress: 40 })
agent.status("busy")

// A worker has something to do.
setInterval(() => {}, 60_000)
process.on("SIGTERM", () => void publisher.close().then(() => process.exit(0)))
console.log("at work")
