// @ts-check
/** A Chromium as a person has it, and pages in it that draw with examples/dashboard.ts and note what they say of themselves. */
import { once } from "node:events"
import { readdirSync, readFileSync } from "node:fs"
import { readFile } from "node:fs/promises"
import { createServer } from "node:http"
import { fileURLToPath } from "node:url"
import { build } from "esbuild"
import { chromium } from "playwright-core"
import { freePort, portOf } from "../lib/port.mjs"

const root = fileURLToPath(new URL("../..", import.meta.url))

/** What a page notes of itself. An event's `timestamp` is the moment at which the gateway took it, on this machine's clock. */
const probe = `
  const told = [];
  let liveAt = 0;
  let wrongFor = 0;
  const look = () => {
    const at = Date.now();
    const tag = client.freshness._tag;
    if (tag === "live") liveAt = at;
    if (tag !== told.at(-1)?.tag) told.push({ at, tag });
  };
  let busyMs = 0;
  client.onEvent(({ timestamp }) => {
    wrongFor = Math.max(wrongFor, liveAt - timestamp);
    if (busyMs === 0) return;
    const end = performance.now() + busyMs;
    while (performance.now() < end);
  });
  client.onFreshness(look);
  for (const type of ["visibilitychange", "resume"]) document.addEventListener(type, look);
  setInterval(look, 50);
  look();
  let longTask = 0;
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) longTask = Math.max(longTask, duration);
  }).observe({ type: "longtask", buffered: true });
  globalThis.probe = {
    told: () => told,
    tag: () => client.freshness._tag,
    agents: () => client.state.agents.size,
    /** For how long, in milliseconds, the client said live of what the gateway had replaced; since the last time. */
    wrongFor: () => {
      const longest = wrongFor;
      wrongFor = 0;
      return longest;
    },
    longestTask: () => longTask,
    /** Keeps the main thread busy for so long with each event. */
    setBusy: (millis) => {
      busyMs = millis;
    }
  };
`

/** The page, connected to `url` before anything else runs. */
export const pageOf = async (/** @type {string} */ url, /** @type {boolean} */ draws) => {
  const example = await readFile(`${root}examples/dashboard.ts`, "utf8")
  const bare = 'import { connect } from "stratix-status-sync/client"\nconst client = connect("ws://127.0.0.1:3001/")\n'
  const { outputFiles } = await build({
    stdin: {
      contents: (draws ? example : bare).replace("ws://127.0.0.1:3001/", url) + probe,
      resolveDir: root,
      loader: "ts"
    },
    conditions: ["stratix-source"],
    bundle: true,
    format: "iife",
    minify: true,
    platform: "browser",
    target: "es2022",
    write: false
  })
  return `<!doctype html><title>screen</title><link rel="icon" href="data:,"><body><script>${outputFiles[0]?.text}</script>`
}

/** A process and all that it started. */
const familyOf = (/** @type {number} */ pid) => {
  /** @type {Map<number, Array<number>>} */
  const children = new Map()
  for (const name of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
    try {
      // The name of a program may have spaces and parentheses in it.
      const parent = Number(readFileSync(`/proc/${name}/stat`, "utf8").split(") ").at(-1)?.split(" ")[1])
      children.set(parent, [...(children.get(parent) ?? []), Number(name)])
    } catch {
      // It has ended since.
    }
  }
  const family = [pid]
  for (const member of family) family.push(...(children.get(member) ?? []))
  return family
}

/** Chromium with its defaults for people: tabs in the background are throttled. */
export const startBrowser = async () => {
  const debugging = await freePort()
  const chromiumServer = await chromium.launchServer({
    executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", `--remote-debugging-port=${debugging}`],
    ignoreDefaultArgs: [
      "--disable-background-timer-throttling",
      "--disable-backgrounding-occluded-windows",
      "--disable-renderer-backgrounding"
    ]
  })
  // Without the defaults: one of them tells every page that it is visible and has the focus.
  const browser = await chromium.connectOverCDP(`http://127.0.0.1:${debugging}`, { noDefaults: true })
  const [context] = browser.contexts()
  if (context === undefined) throw new Error("the browser has no window")
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  let html = ""
  server.on("request", (_request, response) => response.setHeader("content-type", "text/html").end(html))
  return {
    version: browser.version(),
    /** A signal to every process of the browser. */
    signal: (/** @type {NodeJS.Signals} */ name) => {
      for (const pid of familyOf(chromiumServer.process().pid ?? 0)) process.kill(pid, name)
    },
    /** A page of its own; `draws`: with examples/dashboard.ts, else with the client alone. */
    screen: async (/** @type {string} */ url, draws = true) => {
      html = await pageOf(url, draws)
      const page = await context.newPage()
      await page.bringToFront()
      const devtools = await context.newCDPSession(page)
      await devtools.send("Performance.enable", { timeDomain: "threadTicks" })
      await page.goto(`http://127.0.0.1:${portOf(server)}/`)
      /** @type {(name: string, given?: number) => Promise<any>} */
      const ask = (name, given) =>
        page.evaluate(
          ([what, value]) => Reflect.get(globalThis, "probe")[what](value),
          /** @type {const} */ ([name, given])
        )
      return {
        ask,
        devtools,
        /** Waits until the page says so. */
        until: (/** @type {string} */ tag, patience = 120_000) =>
          page.waitForFunction((wanted) => Reflect.get(globalThis, "probe").tag() === wanted, tag, {
            polling: 100,
            timeout: patience
          }),
        /** @type {() => Promise<ReadonlyArray<{ readonly at: number, readonly tag: string }>>} */
        told: () => ask("told"),
        startedAt: () => page.evaluate(() => performance.timeOrigin),
        /** Seconds for which the main thread had the processor. */
        worked: async () => {
          const { metrics } = await devtools.send("Performance.getMetrics")
          return metrics.find(({ name }) => name === "TaskDuration")?.value ?? 0
        },
        /** Another tab in front of it, until it is closed. */
        hide: async () => {
          const other = await context.newPage()
          await other.bringToFront()
          return () => other.close()
        },
        close: () => page.close()
      }
    },
    close: async () => {
      server.closeAllConnections()
      server.close()
      await browser.close()
      await chromiumServer.close()
    }
  }
}

/** @typedef {Awaited<ReturnType<typeof startBrowser>>} Browser */
/** @typedef {Awaited<ReturnType<Browser["screen"]>>} Screen */
