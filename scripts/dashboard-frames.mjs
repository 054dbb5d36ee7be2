// @ts-check
/** How smoothly the dashboard draws many agents in a real Chromium while they change: the figures of docs/dashboard.md. */
import { parseArgs } from "node:util"
import { chromium } from "playwright-core"
import { thisMachine } from "./lib/this-machine.mjs"
import { agentIs, startGateway } from "./screens/gateway.mjs"

const USAGE = `usage: npm run frames -- [--seconds n]

  --seconds n   how long each row is looked at; 10 if absent

Needs Chromium ($CHROMIUM, else /usr/bin/chromium). Everything stays on 127.0.0.1.`

const { values } = parseArgs({
  options: { seconds: { type: "string", default: "10" }, help: { type: "boolean", short: "h" } }
})
const seconds = Number(values.seconds)
if (values.help || !(seconds > 0 && seconds <= 600)) {
  console.log(USAGE)
  process.exit(values.help ? 0 : 2)
}

/** Changes a second. */
const RATE = 500
/** Between two requests of the publisher, in milliseconds. */
const EVERY = 20

const statuses = ["online", "busy", "error", "offline"]

/** Publishes changes at the rate until told to stop. */
const changing = (/** @type {import("./screens/gateway.mjs").Gateway} */ gateway, /** @type {number} */ agents) => {
  let index = 0
  let owed = 0
  let last = performance.now()
  let isBusy = false
  const timer = setInterval(async () => {
    if (isBusy) return
    isBusy = true
    const now = performance.now()
    owed += (RATE * (now - last)) / 1000
    last = now
    const count = Math.floor(owed)
    owed -= count
    // Steps of a prime: the changes are spread over the field.
    const events = Array.from({ length: count }, () =>
      agentIs((index++ * 7919) % agents, statuses[index % 4] ?? "busy")
    )
    await gateway.publish(events).catch(() => undefined)
    isBusy = false
  }, EVERY)
  return () => clearInterval(timer)
}

/** Times between frames of a page, in milliseconds, over some seconds. */
const framesOf = (/** @type {import("playwright-core").Page} */ page) =>
  page.evaluate(
    (millis) =>
      /** @type {Promise<Array<number>>} */ (
        new Promise((resolve) => {
          /** @type {Array<number>} */
          const times = []
          const begin = performance.now()
          let last = begin
          const frame = (/** @type {number} */ now) => {
            times.push(now - last)
            last = now
            if (now - begin < millis) requestAnimationFrame(frame)
            else resolve(times.slice(1))
          }
          requestAnimationFrame(frame)
        })
      ),
    seconds * 1000
  )

const percentile = (/** @type {ReadonlyArray<number>} */ sorted, /** @type {number} */ part) =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0

const browser = await chromium.launch({
  executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu"]
})
console.log(
  `${thisMachine()}, Chromium ${browser.version()}, ${new Date().toISOString().slice(0, 10)}, ${RATE} changes/s\n`
)
console.log("| agents | frames/s | p95 between frames | longest | main thread |\n| --- | --- | --- | --- | --- |")
for (const agents of [0, 300, 1000, 10_000]) {
  const gateway = await startGateway()
  await gateway.publish(Array.from({ length: agents }, (_, index) => agentIs(index, "online")))
  const page = await browser.newPage({ viewport: { width: 1600, height: 1000 } })
  const devtools = await page.context().newCDPSession(page)
  await devtools.send("Performance.enable", { timeDomain: "threadTicks" })
  const worked = async () => {
    const { metrics } = await devtools.send("Performance.getMetrics")
    return metrics.find(({ name }) => name === "TaskDuration")?.value ?? 0
  }
  await page.goto(`http://127.0.0.1:${gateway.port}/dashboard?lang=en`)
  await page.getByText("Live").first().waitFor()
  const stop = agents === 0 ? () => undefined : changing(gateway, agents)
  await page.waitForTimeout(2000)
  const before = await worked()
  const times = (await framesOf(page)).sort((one, other) => one - other)
  const busy = ((await worked()) - before) / seconds
  stop()
  const total = times.reduce((sum, time) => sum + time, 0)
  const ms = (/** @type {number} */ value) => `${value.toFixed(0)} ms`
  console.log(
    `| ${agents.toLocaleString("en")} | ${((times.length * 1000) / total).toFixed(0)} | ${ms(percentile(times, 0.95))} | ${ms(times.at(-1) ?? 0)} | ${(busy * 100).toFixed(0)} % |`
  )
  await page.close()
  await gateway.kill()
}
await browser.close()
