// @ts-check
/** How long a page needs for a large snapshot, with the client alone: nothing is drawn. */
import { once } from "node:events"
import { createServer } from "node:http"
import { portOf } from "../lib/port.mjs"
import { pageOf } from "./browser.mjs"
import { startChromium } from "./chromium.mjs"
import { agentIs, startGateway } from "./gateway.mjs"

const PAGES = 5

const sleep = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms))
const middle = (/** @type {ReadonlyArray<number>} */ values) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0

/** Several pages, one after the other, each in a renderer of its own. Milliseconds from the first look at the client to live, the longest task
 * (0: none was longer than 50), and for how long the main thread had the processor: of each the median, and of all that counts the worst.
 * @param {number} keys */
export const measureSnapshot = async (keys) => {
  const gateway = await startGateway()
  await gateway.publish(Array.from({ length: keys }, (_, index) => agentIs(index, "busy")))
  const html = await pageOf(`ws://127.0.0.1:${gateway.port}/`, false)
  const server = createServer((_request, response) => response.setHeader("content-type", "text/html").end(html))
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const chromium = await startChromium()
  const pages = []
  for (let index = 0; index < PAGES; index++) {
    const page = await chromium.open(`http://127.0.0.1:${portOf(server)}/`)
    while ((await page.evaluate("globalThis.probe?.tag()")) !== "live") await sleep(100)
    await sleep(500)
    /** @type {ReadonlyArray<{ readonly at: number, readonly tag: string }>} */
    const told = await page.evaluate("probe.told()")
    pages.push({
      took: (told.find(({ tag }) => tag === "live")?.at ?? 0) - (told[0]?.at ?? 0),
      agents: Number(await page.evaluate("probe.agents()")),
      longest: Number(await page.evaluate("probe.longestTask()")),
      worked: await page.worked()
    })
    await page.close()
  }
  await chromium.close()
  server.closeAllConnections()
  server.close()
  await gateway.kill()
  return {
    complete: pages.every(({ agents }) => agents === keys),
    took: middle(pages.map(({ took }) => took)),
    slowest: Math.max(...pages.map(({ took }) => took)),
    longest: middle(pages.map(({ longest }) => longest)),
    worked: middle(pages.map(({ worked }) => worked))
  }
}
