/** The gateway of `npm start`, in as many processes as the argument says. It is published to over HTTP, and its cost is that of all its processes. */
import { spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { Agent, request } from "node:http"
import { fileURLToPath } from "node:url"
import { serve } from "./harness.mjs"

const MAIN = fileURLToPath(new URL("../../../dist/stratix-gateway/main.js", import.meta.url))

/** Of the system's clock of processes, which on Linux has 100 ticks a second for those who ask. */
const MICROS_PER_TICK = 10_000

/** Processor time of a process so far; nothing for one that has ended. */
const microsOf = (pid) => {
  try {
    // The name, which may have spaces in it, ends with the last parenthesis.
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ") ?? []
    return (Number(fields[11]) + Number(fields[12])) * MICROS_PER_TICK
  } catch {
    return 0
  }
}

const childrenOf = (pid) => readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").match(/\d+/g) ?? []

const start = (workers) =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [MAIN], {
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...process.env,
        STRATIX_PORT: "0",
        STRATIX_WORKERS: workers,
        STRATIX_LOG_FORMAT: "logfmt",
        // Off, as no peer limits how fast clients come or events are published.
        STRATIX_HANDSHAKE_RATE: "0",
        STRATIX_PUBLISH_RATE: "0"
      }
    })
    process.on("exit", () => child.kill("SIGKILL"))
    let said = ""
    child.on("exit", () => reject(new Error(said)))
    for (const output of [child.stdout, child.stderr]) {
      output.setEncoding("utf8").on("data", (text) => {
        said = (said + text).slice(-4000)
        const port = /ready on ws:\/\/127\.0\.0\.1:(\d+)\//.exec(said)?.[1]
        if (port !== undefined) resolve({ pid: child.pid, port: Number(port) })
      })
    }
  })

const [workers = "1"] = process.argv.slice(2)

serve(async () => {
  const { pid, port } = await start(workers)
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const post = (events) => {
    const headers = { "content-type": "application/json" }
    request({ port, host: "127.0.0.1", method: "POST", path: "/api/stratix/events", headers, agent }, (answer) => {
      if (answer.statusCode !== 202) throw new Error(`the gateway answered ${answer.statusCode}`)
      answer.resume()
    }).end(JSON.stringify(events))
  }
  const statusOf = (agentId) => ({ eventType: "stratix:agent_status_update", payload: { agentId, status: "busy" } })
  return {
    port,
    publish: (agentIds) => post(agentIds.map(statusOf)),
    cpuMicros: () => [pid, ...childrenOf(pid)].reduce((sum, each) => sum + microsOf(each), 0)
  }
})
