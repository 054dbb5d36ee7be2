// @ts-check
/**
 * What screens say of themselves in a real Chromium, while the page, the gateway, the network or the browser is in trouble: the table of
 * docs/client.md. Each row fails where a screen called something true that had not been true for longer than the row allows.
 */
import { parseArgs } from "node:util"
import { thisMachine } from "./lib/this-machine.mjs"
import { startBrowser } from "./screens/browser.mjs"
import { agentIs, startGateway } from "./screens/gateway.mjs"
import { measureSnapshot } from "./screens/snapshot.mjs"

const USAGE = `usage: npm run screens -- [--only name]

  --only name   one row: snapshot, busy, saturated, paused, paused-long, restarted, frozen, offline, suspended

Takes about seven minutes. Needs Chromium ($CHROMIUM, else /usr/bin/chromium). Everything stays on 127.0.0.1. Exit code 1: a screen
was wrong, or did not become right again.`

const { values } = parseArgs({ options: { only: { type: "string" }, help: { type: "boolean", short: "h" } } })
if (values.help) {
  console.log(USAGE)
  process.exit(0)
}

const AGENTS = 5000
const KEYS = 100_000
/** Between two requests of a publisher, in milliseconds. */
const EVERY = 50
/** Lag plus silence: what a screen calls live was true so many milliseconds ago at the most. */
const BOUND = 2000 + 10_000
/** Where everything goes on, only the lag counts; and what this machine needs to publish. */
const LAG_BOUND = 2000 + 500

const sleep = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms))
const seconds = (/** @type {number} */ ms) => `${(ms / 1000).toFixed(1)} s`

/** Publishes so many events a second until told to stop. A gateway that does not answer misses them.
 * @param {import("./screens/gateway.mjs").Gateway} gateway
 * @param {number} rate */
const publisher = (gateway, rate) => {
  let index = 0
  let owed = 0
  let busy = false
  const timer = setInterval(async () => {
    if (busy) return
    busy = true
    owed += (rate * EVERY) / 1000
    const count = Math.floor(owed)
    owed -= count
    const events = Array.from({ length: count }, () => ({
      ...agentIs(index++ % AGENTS, index % 2 ? "busy" : "online")
    }))
    await gateway.publish(events).catch(() => undefined)
    busy = false
  }, EVERY)
  return () => clearInterval(timer)
}

/** What was said since a moment, with the seconds after it. */
const saidSince = (/** @type {ReadonlyArray<{ at: number, tag: string }>} */ told, /** @type {number} */ from) =>
  told
    .filter(({ at }) => at >= from)
    .map(({ at, tag }) => `\`${tag}\` after ${seconds(at - from)}`)
    .join(", ")

/**
 * A screen that is live on a gateway at work, and what happens to it.
 * @param {import("./screens/browser.mjs").Browser} browser
 * @param {number} rate
 * @param {number} bound
 * @param {(screen: import("./screens/browser.mjs").Screen, gateway: import("./screens/gateway.mjs").Gateway, stop: () => void) => Promise<import("./screens/gateway.mjs").Gateway | void>} happens
 *   answers the gateway that takes the place of the first one, if any; `stop` ends the publishing to that
 */
const trouble = async (browser, rate, bound, happens) => {
  const gateway = await startGateway()
  let stop = publisher(gateway, rate)
  const screen = await browser.screen(`ws://127.0.0.1:${gateway.port}/`)
  await screen.until("live")
  await sleep(2000)
  await screen.ask("wrongFor")
  const from = Date.now()
  const next = await happens(screen, gateway, stop)
  if (next) stop = publisher(next, rate)
  await screen.until("live")
  await sleep(500)
  const longest = await screen.ask("wrongFor")
  const said = saidSince(await screen.told(), from)
  stop()
  await screen.close()
  await gateway.kill()
  await next?.kill()
  return { said, wrongFor: seconds(longest), right: longest <= bound }
}

/** @typedef {{ readonly said: string, readonly wrongFor: string, readonly right: boolean }} Outcome */

/** @type {ReadonlyArray<readonly [name: string, what: string, run: (browser: import("./screens/browser.mjs").Browser) => Promise<Outcome>]>} */
const rows = [
  [
    "snapshot",
    `${KEYS.toLocaleString("en")} keys, without drawing them`,
    async () => {
      const { complete, longest, slowest, took, worked } = await measureSnapshot(KEYS)
      return {
        said: `\`live\` after ${Math.round(took)} ms (the slowest of five: ${Math.round(slowest)}); longest task ${longest === 0 ? "below 50" : Math.round(longest)} ms; ${worked.toFixed(2)} s of the main thread`,
        wrongFor: "",
        right: complete
      }
    }
  ],
  [
    "busy",
    `${AGENTS.toLocaleString("en")} agents, 500 events/s for a minute, drawn as in the README`,
    async (browser) => {
      const gateway = await startGateway()
      await gateway.publish(Array.from({ length: AGENTS }, (_, index) => agentIs(index, "busy")))
      const screen = await browser.screen(`ws://127.0.0.1:${gateway.port}/`)
      await screen.until("live")
      const stop = publisher(gateway, 500)
      await sleep(2000)
      await screen.ask("wrongFor")
      const from = Date.now()
      const before = await screen.worked()
      await sleep(60_000)
      const share = (await screen.worked()) - before
      const longest = await screen.ask("wrongFor")
      const said = saidSince(await screen.told(), from)
      stop()
      await screen.close()
      await gateway.kill()
      return {
        said: `${said || "`live` throughout"}; ${((share / 60) * 100).toFixed(1)} % of the main thread`,
        wrongFor: seconds(longest),
        right: longest <= LAG_BOUND
      }
    }
  ],
  [
    "saturated",
    "a page that needs 5 ms for each of 500 events/s, for 30 s",
    (browser) =>
      trouble(browser, 500, LAG_BOUND, async (screen) => {
        await screen.ask("setBusy", 5)
        await sleep(30_000)
        await screen.ask("setBusy", 0)
      })
  ],
  [
    "paused",
    "the gateway stopped for 15 s (SIGSTOP)",
    (browser) =>
      trouble(browser, 20, BOUND, async (_screen, gateway) => {
        gateway.signal("SIGSTOP")
        await sleep(15_000)
        gateway.signal("SIGCONT")
      })
  ],
  [
    "paused-long",
    "the gateway stopped for 75 s",
    (browser) =>
      trouble(browser, 20, BOUND, async (_screen, gateway) => {
        gateway.signal("SIGSTOP")
        await sleep(75_000)
        gateway.signal("SIGCONT")
      })
  ],
  [
    "restarted",
    "the gateway killed, and started anew after 5 s; its first event 5 s later",
    (browser) =>
      trouble(browser, 20, LAG_BOUND, async (screen, gateway, stop) => {
        stop()
        await gateway.kill()
        await sleep(5000)
        const next = await startGateway(gateway.port)
        await screen.until("restarted")
        await sleep(5000)
        return next
      })
  ],
  [
    "frozen",
    "the tab in the background and frozen for 30 s, as the browser does with those",
    (browser) =>
      trouble(browser, 20, LAG_BOUND, async ({ devtools, hide }) => {
        const show = await hide()
        await devtools.send("Page.setWebLifecycleState", { state: "frozen" })
        await sleep(30_000)
        await devtools.send("Page.setWebLifecycleState", { state: "active" })
        await show()
      })
  ],
  [
    "offline",
    "the network off for 20 s",
    (browser) =>
      trouble(browser, 20, BOUND, async ({ devtools }) => {
        const network = { latency: 0, downloadThroughput: -1, uploadThroughput: -1 }
        await devtools.send("Network.enable")
        await devtools.send("Network.emulateNetworkConditions", { offline: true, ...network })
        await sleep(20_000)
        await devtools.send("Network.emulateNetworkConditions", { offline: false, ...network })
      })
  ],
  [
    "suspended",
    "every process of the browser stopped for 30 s",
    (browser) =>
      trouble(browser, 20, LAG_BOUND, async () => {
        browser.signal("SIGSTOP")
        await sleep(30_000)
        browser.signal("SIGCONT")
      })
  ]
]

const chosen = rows.filter(([name]) => values.only === undefined || values.only === name)
if (chosen.length === 0) {
  console.error(`there is no row "${values.only}"\n\n${USAGE}`)
  process.exit(2)
}
let wrong = 0
const browser = await startBrowser()
console.log(`${thisMachine()}, Chromium ${browser.version}, ${new Date().toISOString().slice(0, 10)}\n`)
console.log("| what happens | what the screen says | `live` of what was replaced, at most |\n| --- | --- | --- |")
for (const [name, what, run] of chosen) {
  try {
    const { right, said, wrongFor } = await run(browser)
    console.log(`| ${what} | ${said} | ${wrongFor} |`)
    if (right) continue
    console.log(`WRONG ${name}`)
  } catch (cause) {
    console.log(`WRONG ${name}: ${cause instanceof Error ? cause.message : cause}`)
  }
  wrong++
}
await browser.close()
process.exit(wrong === 0 ? 0 : 1)
