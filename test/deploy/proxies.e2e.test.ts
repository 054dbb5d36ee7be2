import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import * as Https from "node:https"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { WebSocket } from "ws"
import { selfSigned } from "../stratix-gateway/support/certificate.js"
import { RedisServer } from "../stratix-gateway/support/redis.js"
import { type Program, portOf, startGateway, startProgram } from "../stratix-gateway/support/standAlone.js"

const HOST = "status.example.org"
const ORIGIN = `https://${HOST}`
const TOKEN = "operator-0123456789abcdef"
const recipe = (name: string) => readFile(new URL(`../../deploy/${name}`, import.meta.url), "utf8")

const freePort = () =>
  new Promise<number>((resolve, reject) => {
    const probe = createServer().on("error", reject)
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address()
      probe.close(() => (typeof address === "object" && address !== null ? resolve(address.port) : reject(address)))
    })
  })

interface Front {
  readonly folder: string
  readonly port: number
  /** Ports of the gateways. */
  readonly upstreams: ReadonlyArray<number>
}

interface Answer {
  readonly status: number
  readonly body: string
}

const ask = (port: number, method: string, path: string, body?: string) =>
  new Promise<Answer>((resolve, reject) => {
    const headers = {
      host: HOST,
      authorization: `Bearer ${TOKEN}`,
      // Written by the client: the proxy puts the real address behind it.
      "x-forwarded-for": "203.0.113.9",
      ...(body !== undefined && { "content-type": "application/json", "content-length": Buffer.byteLength(body) })
    }
    const options = { host: "127.0.0.1", servername: HOST, port, method, path, headers, rejectUnauthorized: false }
    const request = Https.request(options, (response) => {
      let text = ""
      response.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk
      })
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body: text }))
    })
    request.on("error", reject)
    request.end(body)
  })

/** The first message, or the status of the refusal. */
const dashboard = (port: number, origin: string, path = "/stratix/") => {
  const socket = new WebSocket(`wss://127.0.0.1:${port}${path}`, [`stratix.bearer.${TOKEN}`, "stratix.plain.v1"], {
    rejectUnauthorized: false,
    origin,
    headers: { host: HOST }
  })
  const texts: Array<string> = []
  let changed = () => {}
  const outcome = new Promise<number>((resolve, reject) => {
    socket.on("open", () => resolve(101))
    socket.on("unexpected-response", (_request, response) => {
      resolve(response.statusCode ?? 0)
      socket.terminate()
    })
    socket.on("error", reject)
  })
  socket.on("message", (data) => {
    texts.push(String(data))
    changed()
  })
  return {
    outcome,
    receives: (part: string) =>
      new Promise<void>((resolve) => {
        changed = () => {
          if (texts.some((text) => text.includes(part))) resolve()
        }
        changed()
      }),
    close: () => socket.close()
  }
}

/** What has come of an event stream. */
const eventStream = (port: number) =>
  new Promise<{
    readonly type: string | undefined
    readonly receives: (part: string) => Promise<void>
    readonly close: () => void
  }>((resolve, reject) => {
    const options = {
      host: "127.0.0.1",
      servername: HOST,
      port,
      path: "/stratix/api/stratix/stream?agents=agent-2",
      headers: { host: HOST, authorization: `Bearer ${TOKEN}`, "accept-encoding": "gzip, br" },
      rejectUnauthorized: false,
      agent: false
    }
    const request = Https.get(options, (response) => {
      let text = ""
      let changed = () => {}
      response.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk
        changed()
      })
      response.on("error", () => undefined)
      resolve({
        type: response.headers["content-type"],
        receives: (part) =>
          new Promise((come) => {
            changed = () => {
              if (text.includes(part)) come()
            }
            changed()
          }),
        close: () => request.destroy()
      })
    })
    request.on("error", reject)
  })

type StartProxy = (front: Front) => Promise<Program>

const SETTINGS = {
  STRATIX_TOKENS: JSON.stringify([
    { name: "operator", token: TOKEN, permissions: ["subscribe", "publish", "operator"] }
  ]),
  STRATIX_ALLOWED_ORIGINS: ORIGIN,
  STRATIX_TRUSTED_PROXIES: "127.0.0.1"
}

/** Gateways with a proxy in front of them, which answers. */
const startAll = async (startProxy: StartProxy, environments: ReadonlyArray<Record<string, string>>) => {
  const folder = await mkdtemp(join(tmpdir(), "stratix-proxy-"))
  const { cert, key } = selfSigned(HOST)
  await writeFile(join(folder, "fullchain.pem"), cert)
  await writeFile(join(folder, "privkey.pem"), key)
  const gateways = await Promise.all(environments.map((each) => startGateway({ ...SETTINGS, ...each })))
  const upstreams = await Promise.all(gateways.map(portOf))
  const port = await freePort()
  const proxy = await startProxy({ folder, port, upstreams })
  const isUp = () =>
    ask(port, "GET", "/stratix/readyz").then(
      ({ status }) => status === 200,
      () => false
    )
  let failure: string | undefined
  void proxy.ended.then(({ output }) => {
    failure = output
  })
  while (!(await isUp())) {
    if (failure !== undefined) throw new Error(`the proxy ended: ${failure}`)
    await new Promise((resolve) => setImmediate(resolve))
  }
  const end = async () => {
    for (const { child } of [proxy, ...gateways]) child.kill("SIGTERM")
    await Promise.all([proxy, ...gateways].map(({ ended }) => ended))
    await rm(folder, { recursive: true, force: true })
  }
  return { end, gateways, port, upstreams }
}

const proxySuite = (name: string, startProxy: StartProxy) =>
  describe(`deploy/${name}, run for real`, () => {
    let port = 0
    let end = async () => {}

    beforeAll(async () => {
      const all = await startAll(startProxy, [{}])
      port = all.port
      end = all.end
    })
    afterAll(() => end())

    it("a page of the listed origin is live through TLS and the path prefix", async () => {
      const page = dashboard(port, ORIGIN)
      assert.strictEqual(await page.outcome, 101)
      await page.receives("stratix:connected")
      const { body, status } = await ask(port, "PUT", "/stratix/api/stratix/agents/agent-1/status", '{"status":"busy"}')
      assert.strictEqual(status, 202, body)
      await page.receives('{"agentId":"agent-1","status":"busy"}')
      page.close()
    })

    it("events of a stream come through while it is open, each as it happens", async () => {
      const stream = await eventStream(port)
      assert.strictEqual(stream.type, "text/event-stream; charset=utf-8")
      await stream.receives("event: stratix:connected\n")
      for (const status of ["online", "error"]) {
        await ask(port, "PUT", "/stratix/api/stratix/agents/agent-2/status", JSON.stringify({ status }))
        // The next is published only once this one has come.
        await stream.receives(`{"agentId":"agent-2","status":"${status}"}`)
      }
      stream.close()
    })

    it("a page of another origin is refused", async () => {
      assert.strictEqual(await dashboard(port, "https://evil.example").outcome, 403)
    })

    it("the gateway sees the client's address, and not the one a client invents", async () => {
      const page = dashboard(port, ORIGIN)
      await page.outcome
      await page.receives("stratix:connected")
      const { body } = await ask(port, "GET", "/stratix/api/stratix/connections")
      assert.include(body, '"address":"127.0.0.1"')
      assert.notInclude(body, "203.0.113.9")
      page.close()
    })

    it("what is outside the prefix does not reach the gateway", async () => {
      const { body } = await ask(port, "GET", "/healthz")
      assert.notInclude(body, '"status":"ok"')
    })
  })

/** A sync client that comes back where it was, once for each connection that it loses. */
class Screen {
  readonly statuses: Array<string> = []
  readonly modes: Array<string> = []
  failure: Error | undefined
  private cursor: string | undefined
  private socket: WebSocket | undefined
  private isOver = false
  private changed = () => {}

  constructor(private readonly port: number) {
    this.connect()
  }

  private connect(): void {
    const query = this.cursor === undefined ? "" : `?since=${this.cursor}`
    const url = `wss://127.0.0.1:${this.port}/stratix/${query}`
    const protocols = [`stratix.bearer.${TOKEN}`, "stratix.sync.v1"]
    const socket = new WebSocket(url, protocols, { rejectUnauthorized: false, origin: ORIGIN, headers: { host: HOST } })
    this.socket = socket
    let isOpen = false
    socket.on("open", () => {
      isOpen = true
    })
    socket.on("error", (error) => {
      if (!isOpen) this.failure = error
      this.changed()
    })
    socket.on("close", () => {
      if (isOpen && !this.isOver) this.connect()
    })
    socket.on("message", (data) => {
      const { eventType, payload } = JSON.parse(String(data))
      if (eventType === "stratix:sync") {
        this.modes.push(payload.mode)
        if (payload.count === 0) this.cursor = payload.to
      }
      for (const event of eventType === "stratix:events" ? payload.events : []) {
        this.statuses.push(event.payload.status)
        this.cursor = event.offset
      }
      this.changed()
    })
  }

  /** Fails if it was refused once. */
  until(isSo: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      this.changed = () => {
        if (this.failure !== undefined) reject(this.failure)
        else if (isSo()) resolve()
      }
      this.changed()
    })
  }

  end(): void {
    this.isOver = true
    this.socket?.terminate()
  }
}

const balancingSuite = (name: string, startProxy: StartProxy) =>
  it(`deploy/${name} balances two gateways, and a client notices nothing of one that is killed -9 but a resume`, async () => {
    const redis = await RedisServer.start()
    const log = { STRATIX_EVENT_LOG: redis.url, STRATIX_EVENT_LOG_TIMEOUT: "30 seconds" }
    const { end, gateways, port, upstreams } = await startAll(startProxy, [log, log])
    const publish = async (status: string) => {
      const path = "/stratix/api/stratix/agents/agent-1/status"
      // A request that the killed gateway had already is the publisher's to repeat: a status twice is the same status.
      while ((await ask(port, "PUT", path, JSON.stringify({ status }))).status !== 202);
    }
    const clientsOf = async (upstream: number) => {
      const headers = { authorization: `Bearer ${TOKEN}` }
      const answer = await fetch(`http://127.0.0.1:${upstream}/api/stratix/connections`, { headers })
      return (await answer.text()).split('"address"').length - 1
    }
    const screens = [1, 2, 3, 4].map(() => new Screen(port))
    try {
      await Promise.all(screens.map((screen) => screen.until(() => screen.modes.length === 1)))
      await publish("online")
      await Promise.all(screens.map((screen) => screen.until(() => screen.statuses.includes("online"))))
      for (const clients of await Promise.all(upstreams.map(clientsOf))) assert.isAbove(clients, 0)

      gateways[0]?.child.kill("SIGKILL")
      await gateways[0]?.ended
      for (let n = 0; n < 20; n++) assert.strictEqual((await ask(port, "GET", "/stratix/readyz")).status, 200)
      await publish("busy")
      await Promise.all(screens.map((screen) => screen.until(() => screen.statuses.includes("busy"))))
      assert.deepStrictEqual([...new Set(screens.flatMap(({ modes }) => modes))], ["snapshot", "resume"])
      for (const { statuses } of screens) assert.strictEqual(statuses.filter((status) => status === "online").length, 1)
    } finally {
      for (const screen of screens) screen.end()
      await end()
      await redis.end()
    }
  })

const nginx: StartProxy = async ({ folder, port, upstreams }) => {
  const conf = (await recipe("nginx.conf"))
    .replace(/server 127\.0\.0\.1:3001(.*)/, (_, rest) =>
      upstreams.map((each) => `server 127.0.0.1:${each}${rest}`).join("\n")
    )
    .replace("listen 443 ssl;", `listen 127.0.0.1:${port} ssl;`)
    .replaceAll("/etc/ssl/stratix/", `${folder}/`)
  await writeFile(
    join(folder, "nginx.conf"),
    `daemon off; user root; pid ${folder}/pid; error_log stderr; events {} http { access_log off; ${conf} }`
  )
  return startProgram("nginx", ["-p", folder, "-c", join(folder, "nginx.conf")], {})
}

const caddy: StartProxy = async ({ folder, port, upstreams }) => {
  const file = (await recipe("Caddyfile")).replace(
    "{$STRATIX_DOMAIN} {",
    `{\n admin off\n auto_https off\n default_sni ${HOST}\n}\nhttps://${HOST}:${port} {\n tls ${folder}/fullchain.pem ${folder}/privkey.pem`
  )
  await writeFile(join(folder, "Caddyfile"), file)
  return startProgram("caddy", ["run", "--adapter", "caddyfile", "--config", join(folder, "Caddyfile")], {
    STRATIX_UPSTREAM: upstreams.map((each) => `127.0.0.1:${each}`).join(" "),
    HOME: folder,
    XDG_CONFIG_HOME: folder,
    XDG_DATA_HOME: folder
  })
}

for (const [name, startProxy] of [
  ["nginx.conf", nginx],
  ["Caddyfile", caddy]
] as const) {
  proxySuite(name, startProxy)
  balancingSuite(name, startProxy)
}
