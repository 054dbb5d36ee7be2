import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import * as Https from "node:https"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { WebSocket } from "ws"
import { selfSigned } from "../stratix-gateway/support/certificate.js"
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
  readonly upstream: number
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

const proxySuite = (name: string, start: (front: Front) => Promise<Program>) =>
  describe(`deploy/${name}, run for real`, () => {
    let folder = ""
    let port = 0
    let gateway: Program | undefined
    let proxy: Program | undefined

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), "stratix-proxy-"))
      const { cert, key } = selfSigned(HOST)
      await writeFile(join(folder, "fullchain.pem"), cert)
      await writeFile(join(folder, "privkey.pem"), key)
      gateway = await startGateway({
        STRATIX_TOKENS: JSON.stringify([
          { name: "operator", token: TOKEN, permissions: ["subscribe", "publish", "operator"] }
        ]),
        STRATIX_ALLOWED_ORIGINS: ORIGIN,
        STRATIX_TRUSTED_PROXIES: "127.0.0.1"
      })
      port = await freePort()
      proxy = await start({ folder, port, upstream: await portOf(gateway) })
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
    })
    afterAll(async () => {
      proxy?.child.kill("SIGTERM")
      gateway?.child.kill("SIGTERM")
      await Promise.all([proxy?.ended, gateway?.ended])
      await rm(folder, { recursive: true, force: true })
    })

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

proxySuite("nginx.conf", async ({ folder, port, upstream }) => {
  const conf = (await recipe("nginx.conf"))
    .replace("server 127.0.0.1:3001;", `server 127.0.0.1:${upstream};`)
    .replace("listen 443 ssl;", `listen 127.0.0.1:${port} ssl;`)
    .replaceAll("/etc/ssl/stratix/", `${folder}/`)
  await writeFile(
    join(folder, "nginx.conf"),
    `daemon off; user root; pid ${folder}/pid; error_log stderr; events {} http { access_log off; ${conf} }`
  )
  return startProgram("nginx", ["-p", folder, "-c", join(folder, "nginx.conf")], {})
})

proxySuite("Caddyfile", async ({ folder, port, upstream }) => {
  const file = (await recipe("Caddyfile")).replace(
    "{$STRATIX_DOMAIN} {",
    `{\n admin off\n auto_https off\n default_sni ${HOST}\n}\nhttps://${HOST}:${port} {\n tls ${folder}/fullchain.pem ${folder}/privkey.pem`
  )
  await writeFile(join(folder, "Caddyfile"), file)
  return startProgram("caddy", ["run", "--adapter", "caddyfile", "--config", join(folder, "Caddyfile")], {
    STRATIX_UPSTREAM: `127.0.0.1:${upstream}`,
    HOME: folder,
    XDG_CONFIG_HOME: folder,
    XDG_DATA_HOME: folder
  })
})
