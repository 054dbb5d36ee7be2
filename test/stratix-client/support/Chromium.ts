/** The real browser, as somebody has it who looks at a dashboard: its background tabs are throttled. */
import { once } from "node:events"
import { readdirSync, readFileSync } from "node:fs"
import { access } from "node:fs/promises"
import { createServer } from "node:http"
import { createServer as createSocketServer } from "node:net"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { build } from "esbuild"
import { type Browser, type BrowserServer, type CDPSession, chromium, type Page } from "playwright-core"
import type { StatusClientOptions } from "../../../src/stratix-client/StatusClient.js"
import type { Look } from "./dashboard.js"

const executablePath = process.env["CHROMIUM"] ?? "/usr/bin/chromium"

/** For what hangs: everything awaited here takes well under a second on a quiet machine, and many times as long on a busy one. */
const PATIENCE_MS = 25_000

/** What a browser did with one WebSocket. */
export interface Connection {
  readonly id: string
  readonly url: string
  /** Extensions that were negotiated. */
  extensions: string | undefined
  subprotocol: string | undefined
  /** Why it did not come about, or ended. */
  failure: string | undefined
  readonly received: Array<string>
  readonly sent: Array<string>
}

/** What a dashboard may be started with: the page gets it as JSON. */
export type StartOptions = Pick<
  StatusClientOptions,
  "backoffBaseMs" | "connectTimeoutMs" | "maxLagMs" | "maxSilenceMs"
> & { readonly token?: string }

/** A tab that has loaded the dashboard. */
export interface Tab {
  /** Its WebSockets, as the browser's own tools see them. */
  readonly connections: ReadonlyArray<Connection>
  /** Connects with the client. */
  readonly start: (url: string, options?: StartOptions) => Effect.Effect<void>
  /** The same, with pauses a hundredth as long. */
  readonly startHastily: (url: string) => Effect.Effect<void>
  /** Connects without the client. */
  readonly startPlain: (url: string, protocols?: Array<string>) => Effect.Effect<void>
  /** Waits until the screen shows this. A hidden page is asked as often as its timers run. */
  readonly shows: (expected: Partial<Look>) => Effect.Effect<void>
  /** Everything the screen has shown. */
  readonly looks: Effect.Effect<ReadonlyArray<Look>>
  /** Types of the events that the client has handed over. */
  readonly events: Effect.Effect<ReadonlyArray<string>>
  /** So many frames of the connection without the client, to the letter. */
  readonly frames: (count: number) => Effect.Effect<ReadonlyArray<string>>
  /** Keeps the page busy for so many milliseconds with each event from now on. */
  readonly worksFor: (millis: number) => Effect.Effect<void>
  /** Turns that the page had while the client was catching up. */
  readonly turnsWhileCatchingUp: Effect.Effect<number>
  /** Waits until a timer that should run every 10 ms has not run for so long, up to a moment after `since`. */
  readonly timersPause: (millis: number, since: number) => Effect.Effect<void>
  /** Loads the dashboard by another name of the machine that serves it: any that ends with `.example`. */
  readonly visits: (host: string) => Effect.Effect<void>
  readonly origin: () => string
  /** Runs a script in the page. */
  readonly runs: (script: string) => Effect.Effect<void>
  /** Replaces the page's document. */
  readonly loads: (html: string) => Effect.Effect<void>
  /** Waits until the page has a text. */
  readonly reads: (text: string) => Effect.Effect<void>
  readonly toFront: Effect.Effect<void>
  /** The browser's word for being offline, for this page. */
  readonly setOffline: (offline: boolean) => Effect.Effect<void>
  /** Stops everything in the page, as the browser does with tabs that are in the background for long. */
  readonly setFrozen: (frozen: boolean) => Effect.Effect<void>
}

export class Chromium extends Context.Tag("test/Chromium")<
  Chromium,
  {
    /** A tab with the dashboard in front of all others. */
    readonly tab: Effect.Effect<Tab, never, Scope.Scope>
    /** An empty tab in front of all others. */
    readonly otherTab: Effect.Effect<void, never, Scope.Scope>
    /** Stops every process of the browser, as a machine does that is suspended. */
    readonly suspend: Effect.Effect<void>
    readonly resume: Effect.Effect<void>
  }
>() {}

const portOf = (server: { readonly address: () => unknown }): number => Number(Object(server.address()).port)

const freePort = async (): Promise<number> => {
  const server = createSocketServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const port = portOf(server)
  server.close()
  await once(server, "close")
  return port
}

/** A process and all that it started. */
const familyOf = (pid: number): ReadonlyArray<number> => {
  const family = [pid]
  const parents = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        // The name of a program may have spaces and parentheses in it.
        const [, parent] = readFileSync(`/proc/${name}/stat`, "utf8").split(") ").at(-1)?.split(" ") ?? []
        return [{ child: Number(name), parent: Number(parent) }]
      } catch {
        // It has ended since.
        return []
      }
    })
  for (const member of family)
    family.push(...parents.flatMap(({ child, parent }) => (parent === member ? [child] : [])))
  return family
}

const launch = async (): Promise<{ readonly server: BrowserServer; readonly user: Browser }> => {
  await access(executablePath).catch(() => {
    throw new Error(`there is no Chromium at ${executablePath}: apt-get install chromium`)
  })
  const port = await freePort()
  const server = await chromium.launchServer({
    executablePath,
    // Names for pages of other origins than 127.0.0.1, which is this machine's own.
    args: ["--no-sandbox", `--remote-debugging-port=${port}`, "--host-resolver-rules=MAP *.example 127.0.0.1"],
    // These keep a tab in the background as fast as one in front.
    ignoreDefaultArgs: [
      "--disable-background-timer-throttling",
      "--disable-backgrounding-occluded-windows",
      "--disable-renderer-backgrounding"
    ]
  })
  // Without the defaults: one of them tells every page that it is visible and has the focus.
  const user = await chromium.connectOverCDP(`http://127.0.0.1:${port}`, { noDefaults: true })
  return { server, user }
}

const servePage = async () => {
  const { outputFiles } = await build({
    entryPoints: [new URL("dashboard.ts", import.meta.url).pathname],
    bundle: true,
    minify: true,
    format: "iife",
    platform: "browser",
    target: "es2022",
    write: false
  })
  const html = `<!doctype html><title>dashboard</title><link rel="icon" href="data:,"><script>${outputFiles[0]?.text}</script>`
  const server = createServer((_request, response) => response.setHeader("content-type", "text/html").end(html))
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  return server
}

const observe = (devtools: CDPSession): ReadonlyArray<Connection> => {
  const connections: Array<Connection> = []
  const find = (id: string) => connections.find((connection) => connection.id === id)
  devtools.on("Network.webSocketCreated", ({ requestId, url }) =>
    connections.push({
      id: requestId,
      url,
      extensions: undefined,
      subprotocol: undefined,
      failure: undefined,
      received: [],
      sent: []
    })
  )
  devtools.on("Network.webSocketHandshakeResponseReceived", ({ requestId, response }) => {
    const connection = find(requestId)
    if (connection === undefined) return
    const headers = new Headers(response.headers)
    connection.extensions = headers.get("sec-websocket-extensions") ?? undefined
    connection.subprotocol = headers.get("sec-websocket-protocol") ?? undefined
  })
  devtools.on("Network.webSocketFrameError", ({ errorMessage, requestId }) => {
    const connection = find(requestId)
    if (connection !== undefined) connection.failure = errorMessage
  })
  devtools.on("Network.webSocketFrameReceived", ({ requestId, response }) => {
    find(requestId)?.received.push(response.payloadData)
  })
  devtools.on("Network.webSocketFrameSent", ({ requestId, response }) => {
    find(requestId)?.sent.push(response.payloadData)
  })
  return connections
}

const tabOf = (page: Page, devtools: CDPSession, connections: ReadonlyArray<Connection>, port: number): Tab => {
  // By the clock: in a hidden page nothing is drawn.
  const waiting = { polling: 20, timeout: PATIENCE_MS }
  const run = (task: () => Promise<unknown>) => Effect.asVoid(Effect.promise(task))
  return {
    connections,
    start: (url, options = {}) =>
      run(() => page.evaluate(([to, how]) => dashboard.start(to, how), [url, options] as const)),
    startHastily: (url) => run(() => page.evaluate((to) => dashboard.startHastily(to), url)),
    startPlain: (url, protocols) =>
      run(() => page.evaluate(([to, offered]) => dashboard.startPlain(to, offered), [url, protocols] as const)),
    shows: (expected) =>
      run(() =>
        page.waitForFunction(
          (wanted) => {
            const shown = new Map<string, unknown>(Object.entries(dashboard.now()))
            return Object.entries(wanted).every(([name, value]) => shown.get(name) === value)
          },
          expected,
          waiting
        )
      ),
    looks: Effect.promise(() => page.evaluate(() => dashboard.looks)),
    events: Effect.promise(() => page.evaluate(() => dashboard.received)),
    frames: (count) =>
      Effect.promise(async () => {
        await page.waitForFunction((wanted) => dashboard.frames.length >= wanted, count, waiting)
        return page.evaluate(() => dashboard.frames)
      }),
    timersPause: (millis, since) =>
      run(() =>
        page.waitForFunction(
          ([length, after]) => dashboard.pauses.some(({ from, to }) => to > after && to - from >= length),
          [millis, since] as const,
          waiting
        )
      ),
    worksFor: (millis) => run(() => page.evaluate((given) => dashboard.worksFor(given), millis)),
    turnsWhileCatchingUp: Effect.promise(() => page.evaluate(() => dashboard.turnsWhileCatchingUp())),
    visits: (host) => run(() => page.goto(`http://${host}:${port}/`)),
    origin: () => new URL(page.url()).origin,
    runs: (script) => run(() => page.addScriptTag({ content: script, type: "module" })),
    loads: (html) => run(() => page.setContent(html)),
    reads: (text) => run(() => page.getByText(text, { exact: true }).waitFor({ timeout: PATIENCE_MS })),
    toFront: run(() => page.bringToFront()),
    setOffline: (offline) =>
      run(() =>
        devtools.send("Network.emulateNetworkConditions", {
          offline,
          latency: 0,
          downloadThroughput: -1,
          uploadThroughput: -1
        })
      ),
    setFrozen: (frozen) =>
      run(() => devtools.send("Page.setWebLifecycleState", { state: frozen ? "frozen" : "active" }))
  }
}

const make = Effect.gen(function* () {
  const { server: browser, user } = yield* Effect.acquireRelease(Effect.promise(launch), (made) =>
    Effect.promise(async () => {
      await made.user.close()
      await made.server.close()
    })
  )
  const signal = (name: NodeJS.Signals) =>
    Effect.sync(() => {
      const { pid } = browser.process()
      if (pid === undefined) return
      for (const member of familyOf(pid)) process.kill(member, name)
    })
  const server = yield* Effect.acquireRelease(Effect.promise(servePage), (made) =>
    Effect.sync(() => {
      made.closeAllConnections()
      made.close()
    })
  )
  const newPage = Effect.acquireRelease(
    Effect.promise(async () => {
      const [context] = user.contexts()
      if (context === undefined) throw new Error("the browser has no window")
      const page = await context.newPage()
      await page.bringToFront()
      return page
    }),
    (page) => Effect.promise(() => page.close())
  )
  return Chromium.of({
    otherTab: Effect.asVoid(newPage),
    suspend: signal("SIGSTOP"),
    resume: signal("SIGCONT"),
    tab: Effect.flatMap(newPage, (page) =>
      Effect.promise(async () => {
        const devtools = await page.context().newCDPSession(page)
        const connections = observe(devtools)
        await devtools.send("Network.enable")
        const port = portOf(server)
        await page.goto(`http://127.0.0.1:${port}/`)
        return tabOf(page, devtools, connections, port)
      })
    )
  })
})

/** A browser of its own, closed at the end. */
export const layer: Layer.Layer<Chromium> = Layer.scoped(Chromium, make)
