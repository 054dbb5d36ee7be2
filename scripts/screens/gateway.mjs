// @ts-check
/** The gateway as it is deployed, in a process of its own that can be stopped, killed and started again at the same port. */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import { freePort } from "../lib/port.mjs"

const program = fileURLToPath(new URL("../../dist/stratix-gateway/main.js", import.meta.url))

/** Events in one request: what the gateway takes at the most. */
const BATCH = 1000

/** @type {(port?: number) => Promise<Gateway>} */
export const startGateway = async (wanted) => {
  const port = wanted ?? (await freePort())
  const child = spawn(process.execPath, [program], {
    env: { ...process.env, STRATIX_PORT: String(port), STRATIX_LOG_FORMAT: "logfmt", STRATIX_PUBLISH_RATE: "1000000" },
    stdio: ["ignore", "pipe", "inherit"]
  })
  const end = () => child.kill("SIGKILL")
  process.on("exit", end)
  await new Promise((resolve, reject) => {
    let output = ""
    child.stdout.setEncoding("utf8").on("data", (text) => {
      output += text
      if (/ready on/.test(output)) resolve(undefined)
    })
    child.on("exit", () => reject(new Error(`the gateway ended: ${output}`)))
  })
  const base = `http://127.0.0.1:${port}`
  /** @type {Gateway["publish"]} */
  const publish = async (events) => {
    for (let at = 0; at < events.length; at += BATCH) {
      const answer = await fetch(`${base}/api/stratix/events`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(events.slice(at, at + BATCH))
      })
      if (answer.status !== 202) throw new Error(await answer.text())
    }
  }
  return {
    port,
    publish,
    connections: async () => (await (await fetch(`${base}/api/stratix/connections`)).json()).connections,
    signal: (name) => child.kill(name),
    kill: async () => {
      process.off("exit", end)
      if (child.exitCode !== null || child.signalCode !== null) return
      const gone = once(child, "exit")
      child.kill("SIGKILL")
      await gone
    }
  }
}

/** @typedef {{ readonly eventType: string, readonly payload: object }} Event */
/**
 * @typedef {object} Gateway
 * @property {number} port
 * @property {(events: ReadonlyArray<Event>) => Promise<void>} publish
 * @property {() => Promise<ReadonlyArray<{ readonly state: string, readonly screenLagMs?: number }>>} connections
 * @property {(name: NodeJS.Signals) => boolean} signal
 * @property {() => Promise<void>} kill
 */

/** @type {(index: number, status: string) => Event} */
export const agentIs = (index, status) => ({
  eventType: "stratix:agent_status_update",
  payload: { agentId: `agent-${String(index).padStart(6, "0")}`, status }
})
