import { execFile } from "node:child_process"
import { readFile } from "node:fs/promises"
import { createRequire } from "node:module"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { type Browser, chromium, type Page } from "playwright-core"
import { afterAll, afterEach, assert, beforeAll, beforeEach, describe, it } from "vitest"
import { WebSocket } from "ws"
import { type Program, portOf, startGateway } from "../stratix-gateway/support/standAlone.js"

const root = fileURLToPath(new URL("../..", import.meta.url))
const axePath = createRequire(import.meta.url).resolve("axe-core/axe.min.js")
const executablePath = process.env["CHROMIUM"] ?? "/usr/bin/chromium"

let browser: Browser
beforeAll(async () => {
  await promisify(execFile)(process.execPath, ["scripts/build-dashboard.mjs"], { cwd: root })
  browser = await chromium.launch({
    executablePath,
    args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
  })
}, 60_000)
afterAll(() => browser.close())

/** A gateway, and a page of its dashboard that keeps what it asked for and what it complained of. */
class World {
  readonly requests: Array<string> = []
  readonly complaints: Array<string> = []
  private constructor(
    readonly gateway: Program,
    readonly base: string,
    readonly page: Page
  ) {
    page.on("request", (request) => this.requests.push(request.url()))
    page.on("pageerror", (error) => this.complaints.push(error.message))
    page.on("console", (message) => {
      if (message.type() === "error") this.complaints.push(message.text())
    })
  }

  static async make(environment: Record<string, string> = {}, colorScheme: "light" | "dark" = "light") {
    const gateway = await startGateway(environment)
    const page = await browser.newPage({ colorScheme, locale: "en-GB" })
    return new World(gateway, `http://127.0.0.1:${await portOf(gateway)}`, page)
  }

  async end(): Promise<void> {
    await this.page.close()
    this.gateway.child.kill("SIGKILL")
    await this.gateway.ended
  }

  async publish(...events: ReadonlyArray<readonly [type: string, payload: object]>): Promise<void> {
    const response = await fetch(`${this.base}/api/stratix/events`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(events.map(([type, payload]) => ({ eventType: `stratix:${type}`, payload })))
    })
    assert.strictEqual(response.status, 202, await response.text())
  }

  async open(place = ""): Promise<void> {
    await this.page.goto(`${this.base}/dashboard${place}`)
  }
}

/** What axe finds on the page. Evaluated by the devtools, which the page's policy does not concern. */
const violationsOf = async (page: Page): Promise<unknown> => {
  await page.evaluate(await readFile(axePath, "utf8"))
  return page.evaluate("axe.run().then(({ violations }) => violations.map(({ id, nodes }) => [id, nodes[0].html]))")
}

describe("the dashboard of an open gateway", () => {
  let world: World
  beforeEach(async () => {
    world = await World.make()
  })
  afterEach(() => world?.end())

  it("is where a browser gets that opens the gateway's address; others see no difference", async () => {
    const page = await fetch(`${world.base}/`, { headers: { accept: "text/html" }, redirect: "manual" })
    assert.strictEqual(page.status, 302)
    assert.strictEqual(page.headers.get("location"), "dashboard")
    assert.strictEqual((await fetch(`${world.base}/`)).status, 426)
  })

  it("is served compressed, with an ETag and a strict policy", async () => {
    const first = await fetch(`${world.base}/dashboard/app.js`, { headers: { "accept-encoding": "br" } })
    assert.strictEqual(first.headers.get("content-encoding"), "br")
    const policy = first.headers.get("content-security-policy") ?? ""
    assert.include(policy, "default-src 'none'")
    assert.notInclude(policy, "unsafe-inline")
    const etag = first.headers.get("etag") ?? ""
    const again = await fetch(`${world.base}/dashboard/app.js`, { headers: { "if-none-match": etag } })
    assert.strictEqual(again.status, 304)
    const gzip = await fetch(`${world.base}/dashboard/app.js`, { headers: { "accept-encoding": "gzip" } })
    assert.strictEqual(gzip.headers.get("content-encoding"), "gzip")
  })

  const dragOver = async (from: { x: number; y: number }, to: { x: number; y: number }) => {
    const { mouse } = world.page
    await mouse.move(from.x, from.y)
    await mouse.down()
    await mouse.move((from.x + to.x) / 2, (from.y + to.y) / 2)
    await mouse.move(to.x, to.y)
    await mouse.up()
  }

  it("selects several agents with a box or with Shift, and keeps them in the address", async () => {
    await world.publish(
      ["agent_status_update", { agentId: "a-1", status: "busy" }],
      ["agent_status_update", { agentId: "a-2", status: "online" }],
      ["agent_status_update", { agentId: "a-3", status: "busy" }]
    )
    await world.open()
    const boxOf = async (name: RegExp) => {
      const found = await world.page.getByRole("button", { name }).boundingBox()
      if (found === null) throw new Error(`${name} is not on the page`)
      return found
    }
    await world.page.getByRole("button", { name: /^a-3 Busy/ }).waitFor()
    const [one, two] = [await boxOf(/^a-1 Busy/), await boxOf(/^a-2 Online/)]
    await dragOver({ x: one.x + 3, y: one.y + 3 }, { x: two.x + two.width / 2, y: two.y + two.height / 2 })
    const panel = world.page.getByRole("region", { name: "2 agents selected" })
    await panel.getByText("Online 1 · Busy 1").waitFor()
    assert.strictEqual(new URL(world.page.url()).search, "?agent=a-1&agent=a-2")
    await world.page.getByRole("button", { name: /^a-3 Busy/ }).click({ modifiers: ["Shift"] })
    await world.page.getByRole("region", { name: "3 agents selected" }).waitFor()
    await world.page.reload()
    await world.page.getByRole("region", { name: "3 agents selected" }).getByRole("button", { name: /a-2/ }).click()
    await world.page.getByRole("region", { name: "a-2", exact: true }).waitFor()
    assert.strictEqual(new URL(world.page.url()).search, "?agent=a-2")
  })

  it("shows how to begin while there are no agents, plays some where asked to, then shows the first one", async () => {
    await world.open()
    await world.page.getByText("Live: no agents yet").waitFor()
    await world.page.getByText("curl -X PUT").waitFor()
    await world.page.getByRole("button", { name: "Start the demo" }).click()
    await world.page.getByRole("button", { name: /^Ada Busy .*Progress \d+ %$/ }).waitFor()
    await world.page.getByRole("button", { name: "Stop the demo" }).click()
    await world.page.getByText("Live: no agents yet").waitFor()
    await world.publish(["agent_status_update", { agentId: "agent-001", status: "busy" }])
    await world.page.getByRole("button", { name: /^agent-001 Busy/ }).waitFor()
  })

  it("shows agents by type with counts that filter, and keeps what is shown in the address", async () => {
    await world.publish(
      ["agent_create", { agentId: "a-1", name: "Ada", type: "writer" }],
      ["agent_status_update", { agentId: "a-1", status: "busy" }],
      ["command_status_update", { commandId: "c-1", agentId: "a-1", commandStatus: "running", progress: 40 }],
      ["agent_status_update", { agentId: "a-2", status: "online" }]
    )
    await world.open()
    await world.page.getByRole("button", { name: /^Ada Busy .*Progress 40 %$/ }).click()
    await world.page.getByRole("region", { name: "Ada" }).getByText("c-1", { exact: true }).waitFor()
    await world.page.getByRole("button", { name: "Online 1" }).click()
    await world.page.getByRole("button", { name: /^Ada Busy .*Progress 40 %$/ }).waitFor({ state: "detached" })
    assert.strictEqual(new URL(world.page.url()).search, "?status=online&agent=a-1")
    await world.page.reload()
    await world.page.getByRole("button", { name: /^a-2 Online/ }).waitFor()
    assert.strictEqual(await world.page.getByRole("button", { name: /^Ada/ }).count(), 0)
  })

  it("shows the commands of an agent as a timeline, from the history and then live, saying where it begins", async () => {
    const command = (commandId: string, commandStatus: string, more: object = {}) =>
      ["command_status_update", { commandId, agentId: "a,1", commandStatus, ...more }] as const
    await world.publish(
      ["agent_status_update", { agentId: "a,1", status: "busy" }],
      command("c-1", "pending"),
      command("c-1", "running"),
      command("c-1", "failed", { error: "no space" }),
      command("c-2", "running", { progress: 10 }),
      ["command_status_update", { commandId: "c-3", agentId: "other", commandStatus: "running" }]
    )
    await world.open()
    await world.page.getByRole("button", { name: /^a,1 Busy/ }).click()
    const panel = world.page.getByRole("region", { name: "a,1" })
    // How long it ran is not in its newest event.
    await panel
      .locator("li", { hasText: "c-1" })
      .getByText(/^Duration \d/)
      .waitFor()
    await panel.getByText(/^The gateway's history begins at /).waitFor()
    await world.publish(command("c-2", "success", { result: { files: 2 } }), command("c-4", "pending"))
    await panel.locator("li", { hasText: "c-2" }).getByText("Finished").waitFor()
    await panel.locator("li", { hasText: "c-4" }).waitFor()
    assert.deepStrictEqual(await panel.locator("li strong").allTextContents(), ["c-4", "c-2", "c-1"])
    assert.deepStrictEqual(world.complaints, [])
  })

  it("selects by number key and lets go with Escape", async () => {
    await world.publish(
      ["agent_status_update", { agentId: "a-1", status: "busy" }],
      ["agent_status_update", { agentId: "a-2", status: "online" }]
    )
    await world.open()
    await world.page.getByRole("button", { name: /^a-2 Online/ }).waitFor()
    await world.page.keyboard.press("2")
    await world.page.getByRole("region", { name: "a-2" }).waitFor()
    await world.page.keyboard.press("Escape")
    await world.page.getByRole("region", { name: "a-2" }).waitFor({ state: "detached" })
  })

  it("shows texts of agents and commands as text, and talks to no other host", async () => {
    const hostile = '<img src="https://evil.example/x" onerror="document.title=1"><script>alert(1)</script>'
    await world.publish(
      ["agent_create", { agentId: hostile, name: hostile, type: hostile }],
      ["agent_status_update", { agentId: hostile, status: "error" }],
      ["command_status_update", { commandId: hostile, agentId: hostile, commandStatus: "failed", error: hostile }]
    )
    await world.open(`?agent=${encodeURIComponent(hostile)}&tab=feed`)
    await world.page.getByRole("region", { name: hostile }).waitFor()
    assert.strictEqual(await world.page.locator("img, script:not([src])").count(), 0)
    assert.deepStrictEqual(
      world.requests.filter((url) => !url.startsWith(world.base) && !url.startsWith("data:")),
      []
    )
    assert.deepStrictEqual(world.complaints, [])
  })

  it("never says live about a gateway that has gone", async () => {
    await world.publish(["agent_status_update", { agentId: "a-1", status: "busy" }])
    await world.open()
    await world.page.getByText("Live", { exact: true }).waitFor()
    world.gateway.child.kill("SIGKILL")
    await world.page.getByText("Reconnecting").waitFor()
    await world.page.getByRole("button", { name: "Retry now" }).click()
    // What it knew stays.
    await world.page.getByRole("button", { name: /^a-1 Busy/ }).waitFor()
  })

  it("shows what the gateway finds about itself, the metrics as lines, publishes a test event, and disconnects a client", async () => {
    const other = new WebSocket(`${world.base.replace("http", "ws")}/`)
    const closed = new Promise<number>((resolve) => other.once("close", resolve))
    await new Promise((resolve) => other.once("message", resolve))
    await world.open("?tab=connections")
    await world.page.getByText("MiB").waitFor()
    await world.page.getByText(/\d checks are fine/).click()
    await world.page.getByText("connections have everything").waitFor()
    await world.page.getByRole("button", { name: "Publish a test event" }).click()
    await world.page.getByText(/^Published: \S+$/).waitFor()
    const plain = world.page.locator("li", { hasText: "plain" })
    await plain.getByRole("button", { name: /^Disconnect/ }).click()
    assert.strictEqual(await closed, 1012)
    await plain.waitFor({ state: "detached" })
    await world.page.getByRole("button", { name: "Feed" }).click()
    await world.page.locator("li", { hasText: "dashboard_test" }).waitFor()
  })

  it("moves through a recording, apart from what is live, and says what is none", async () => {
    await world.publish(["agent_status_update", { agentId: "a-live", status: "busy" }])
    await world.open()
    await world.page.getByRole("button", { name: /^a-live Busy/ }).waitFor()
    const event = (at: number, agentId: string, status: string) => ({
      at,
      event: {
        eventType: "stratix:agent_status_update",
        payload: { agentId, status },
        timestamp: 1645521240000 + at,
        requestId: "r",
        offset: `e-${at}-0`
      }
    })
    const lines = [
      { format: "stratix-recording", version: 1, url: "ws://127.0.0.1:3001/", startedAt: 1645521240000 },
      event(0, "a-1", "online"),
      event(5000, "a-1", "error"),
      event(9000, "a-2", "busy")
    ]
    const file = (text: string) => ({ name: "x.ndjson", mimeType: "text/plain", buffer: Buffer.from(text) })
    const open = (text: string) => world.page.getByLabel("Open a recording").setInputFiles(file(text))
    await open("no recording")
    await world.page.getByText("This is no recording").waitFor()
    await open(lines.map((line) => JSON.stringify(line)).join("\n"))
    await world.page.getByRole("button", { name: /^a-2 Busy/ }).waitFor()
    assert.strictEqual(await world.page.getByRole("button", { name: /^a-live/ }).count(), 0)
    await world.page.getByLabel("Position in the recording").fill("4000")
    await world.page.getByRole("button", { name: /^a-1 Online/ }).waitFor()
    assert.strictEqual(await world.page.getByRole("button", { name: /^a-2/ }).count(), 0)
    await world.page.getByRole("button", { name: "Play" }).click()
    await world.page.getByRole("button", { name: /^a-1 Error/ }).waitFor()
    await world.page.getByRole("button", { name: "Close" }).click()
    await world.page.getByRole("button", { name: /^a-live Busy/ }).waitFor()
  })

  it("speaks Chinese", async () => {
    await world.publish(["agent_status_update", { agentId: "a-1", status: "busy" }])
    await world.open()
    await world.page.getByRole("button", { name: "中文" }).click()
    await world.page.getByRole("button", { name: /^a-1 忙碌/ }).waitFor()
    assert.strictEqual(await world.page.evaluate(() => document.documentElement.lang), "zh")
    assert.include(world.page.url(), "lang=zh")
  })

  it("fits a phone: nothing is wider than the screen, and what is selected comes up over the field", async () => {
    await world.publish(
      ...Array.from({ length: 30 }, (_, i) => ["agent_status_update", { agentId: `a-${i}`, status: "busy" }] as const),
      ["command_status_update", { commandId: "c-1", agentId: "a-0", commandStatus: "failed", error: "x".repeat(300) }]
    )
    await world.page.setViewportSize({ width: 390, height: 844 })
    for (const tab of ["commands", "feed", "connections"]) {
      await world.open(`?tab=${tab}`)
      await world.page.getByRole("button", { name: /^a-0 Busy/ }).click()
      const panel = world.page.getByRole("region", { name: "a-0", exact: true })
      await panel.getByText("c-1", { exact: true }).waitFor()
      assert.isTrue(await world.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), tab)
      const box = await panel.boundingBox()
      assert.isAtLeast(box?.y ?? 0, 844 * 0.4)
      assert.isAtMost((box?.y ?? 0) + (box?.height ?? 0), 844)
    }
  })

  it("shows more agents than fit as tiles in a heat map that keys move over", async () => {
    const agents = Array.from({ length: 400 }, (_, i) => `a-${String(i).padStart(3, "0")}`)
    await world.publish(...agents.map((agentId) => ["agent_status_update", { agentId, status: "online" }] as const))
    await world.open("?agent=a-010")
    const map = world.page.getByRole("button", { name: /^400 agents/ })
    await map.focus()
    await world.page.keyboard.press("ArrowRight")
    await world.page.getByRole("region", { name: "a-011" }).waitFor()
    const box = await map.boundingBox()
    if (box === null) throw new Error("the heat map is not on the page")
    await dragOver({ x: box.x + 1, y: box.y + 1 }, { x: box.x + 60, y: box.y + 10 })
    await world.page
      .getByRole("region", { name: /^\d agents selected/ })
      .getByRole("button", { name: /a-001/ })
      .waitFor()
  })

  for (const colorScheme of ["light", "dark"] as const) {
    it(`has no fault that axe finds (${colorScheme})`, async () => {
      await world.publish(
        ["agent_create", { agentId: "a-1", name: "Ada", type: "writer" }],
        ["agent_status_update", { agentId: "a-1", status: "busy" }],
        ["command_status_update", { commandId: "c-1", agentId: "a-1", commandStatus: "running", progress: 40 }],
        ["command_status_update", { commandId: "c-2", agentId: "a-1", commandStatus: "failed", error: "no space" }],
        ["agent_status_update", { agentId: "a-2", status: "error" }]
      )
      await world.page.emulateMedia({ colorScheme, reducedMotion: "reduce" })
      for (const tab of ["commands", "feed", "connections"]) {
        await world.open(`?agent=a-1&tab=${tab}`)
        await world.page.getByRole("region", { name: "Ada" }).waitFor()
        const found = await violationsOf(world.page)
        assert.deepStrictEqual(found, [], tab)
      }
    })
  }
})

describe("the dashboard of a gateway with tokens", () => {
  const TOKEN = "viewer-0123456789abcdef"
  let world: World
  beforeEach(async () => {
    world = await World.make({
      STRATIX_TOKENS: JSON.stringify([{ name: "viewer", token: TOKEN, permissions: ["subscribe"] }])
    })
  })
  afterEach(() => world?.end())

  it("asks for a token, says when it is wrong, and keeps a right one in memory only", async () => {
    await world.open()
    await world.page.getByText("This gateway asks for a token.").waitFor()
    await world.page.getByLabel("Access token").fill("wrong")
    await world.page.getByRole("button", { name: "Connect" }).click()
    await world.page.getByText("The gateway refused this token.").waitFor()
    await world.page.getByLabel("Access token").fill(TOKEN)
    await world.page.getByRole("button", { name: "Connect" }).click()
    await world.page.getByText("Live: no agents yet").waitFor()
    assert.strictEqual(await world.page.evaluate(() => sessionStorage.length + localStorage.length), 0)
  })

  it("takes the token of a wall screen's link out of the address", async () => {
    await world.open(`?status=busy#token=${TOKEN}`)
    await world.page.getByText("Live: no agents yet").waitFor()
    assert.strictEqual(world.page.url(), `${world.base}/dashboard?status=busy`)
  })
})
