// @ts-check
// The picture of the dashboard in the README: the real page of a gateway of its own, filled with the same agents each time.
// node scripts/dashboard-picture.mjs (after npm run build; needs Chromium)
import { spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import { chromium } from "playwright-core"

const path = (/** @type {string} */ name) => fileURLToPath(new URL(`../${name}`, import.meta.url))
const names = [
  "Ada",
  "Grace",
  "Iris",
  "Linus",
  "Nova",
  "Scout",
  "Turing",
  "Wren",
  "Hopper",
  "Lovelace",
  "Pascal",
  "Quill"
]
const types = ["researcher", "reviewer", "writer"]
const statuses = ["busy", "online", "busy", "error", "offline"]

const events = names.flatMap((name, i) => {
  const agentId = `agent-${String(i + 1).padStart(3, "0")}`
  const command = { commandId: `cmd-${101 + i}`, agentId }
  const status = statuses[i % statuses.length]
  const told =
    status === "busy"
      ? { ...command, commandStatus: "running", progress: (i * 23 + 18) % 100 }
      : status === "error"
        ? { ...command, commandStatus: "failed", error: "no space left on device" }
        : { ...command, commandStatus: "success", result: { files: ["report.md"] } }
  return [
    { eventType: "stratix:agent_create", payload: { agentId, name, type: types[i % types.length] } },
    { eventType: "stratix:agent_status_update", payload: { agentId, status } },
    { eventType: "stratix:command_status_update", payload: told }
  ]
})

const gateway = spawn(process.execPath, [path("dist/stratix-gateway/main.js")], {
  env: { ...process.env, STRATIX_PORT: "0", STRATIX_LOG_FORMAT: "logfmt" },
  stdio: ["ignore", "pipe", "inherit"]
})
const base = await new Promise((resolve, reject) => {
  let output = ""
  gateway.stdout.on("data", (chunk) => {
    output += chunk
    const found = /Dashboard: (http:\/\/\S+)\/dashboard/.exec(output)
    if (found !== null) resolve(found[1])
  })
  gateway.on("exit", () => reject(new Error(`the gateway ended: ${output}`)))
})
const answer = await fetch(`${base}/api/stratix/events`, {
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify(events)
})
if (answer.status !== 202) throw new Error(await answer.text())

const browser = await chromium.launch({
  executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
})
const page = await browser.newPage({ viewport: { width: 1200, height: 620 }, colorScheme: "dark", locale: "en-GB" })
await page.goto(`${base}/dashboard?agent=agent-001`)
await page.getByRole("region", { name: "Ada" }).waitFor()
await page.waitForFunction(() =>
  document.getAnimations().every(({ effect }) => effect?.getTiming().iterations === Infinity)
)
await page.screenshot({ path: path("docs/dashboard.png") })
await browser.close()
gateway.kill("SIGTERM")
await once(gateway, "exit")
