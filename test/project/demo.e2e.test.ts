import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, LogLevel, Schema } from "effect"
import { build } from "esbuild"
import { NodeServer } from "stratix-status-sync"
import { AgentStatusEvent, CommandStatusEvent } from "stratix-status-sync/protocol"
import { StatusSyncTest, TestClients } from "stratix-status-sync/testing"

const scratch = mkdtempSync(join(tmpdir(), "stratix-demo-"))
const program = join(scratch, "demo.mjs")

/** With the publisher of these sources in it: the script itself takes that of the build. */
beforeAll(() =>
  build({
    entryPoints: ["scripts/demo.mjs"],
    outfile: program,
    conditions: ["stratix-source"],
    bundle: true,
    format: "esm",
    platform: "node"
  })
)
afterAll(() => rmSync(scratch, { recursive: true }))

const start = (port: number | string, ...options: ReadonlyArray<string>): ChildProcess =>
  spawn(process.execPath, [program, ...options], {
    env: { ...process.env, STRATIX_URL: `http://127.0.0.1:${port}`, STRATIX_TOKEN: "s3cret" },
    stdio: ["ignore", "pipe", "pipe"]
  })

/** Waits until it has ended: its exit code, and what it printed. */
const ended = async (demo: ChildProcess) => {
  let out = ""
  let err = ""
  demo.stdout?.on("data", (chunk) => {
    out += chunk
  })
  demo.stderr?.on("data", (chunk) => {
    err += chunk
  })
  const [code] = await once(demo, "close")
  return { code, out, err }
}

interface Asked {
  readonly line: string
  readonly authorization: string | undefined
}

/** Something that answers like a gateway, as the script says. */
const fakeGateway = async (answer: (count: number, response: ServerResponse) => void) => {
  const asked: Array<Asked> = []
  const server = createServer((request: IncomingMessage, response) => {
    let body = ""
    request.on("data", (chunk) => {
      body += chunk
    })
    request.on("end", () => {
      asked.push({ line: `${request.method} ${request.url} ${body}`, authorization: request.headers.authorization })
      answer(asked.length, response)
    })
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  return {
    asked,
    port: typeof address === "object" && address !== null ? address.port : 0,
    close: () => {
      server.closeAllConnections()
      server.close()
    }
  }
}

const isAgentStatus = Schema.is(AgentStatusEvent)
const isCommandStatus = Schema.is(CommandStatusEvent)

const quiet = Layer.provideMerge(StatusSyncTest.layerWs(), Logger.minimumLogLevel(LogLevel.None))

const accept = (_count: number, response: ServerResponse) =>
  response.writeHead(202).end('{"offsets":["1"],"epoch":"e"}')

describe("npm run demo", () => {
  it.scopedLive("tells a gateway how commands run, and leaves nobody at work behind", () =>
    Effect.gen(function* () {
      const server = yield* NodeServer.NodeServer
      const address = server.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      const dashboard = yield* TestClients.connect()
      const demo = start(port, "--rate", "300")
      const end = ended(demo)
      const welcomeAndStory = yield* dashboard.takeN(100)
      demo.kill("SIGINT")
      const { code, out } = yield* Effect.promise(() => end)
      assert.strictEqual(code, 0)

      const told = Number(/stopped after (\d+) events/.exec(out)?.[1])
      assert.strictEqual(out.trim().split("\n").length, told + 1)
      const messages = [...welcomeAndStory, ...(yield* dashboard.takeN(told + 1 - welcomeAndStory.length))]
      const commands = new Map<string, Array<string>>()
      const agents = new Map<string, string>()
      for (const message of messages) {
        if (isCommandStatus(message)) {
          const { commandId, commandStatus } = message.payload
          commands.set(commandId, [...(commands.get(commandId) ?? []), commandStatus])
        }
        if (isAgentStatus(message)) {
          agents.set(message.payload.agentId, message.payload.status)
        }
      }
      assert.isAbove(commands.size, 0)
      for (const statuses of commands.values()) {
        assert.match(statuses.join(" "), /^pending( running)* (success|failed)$/)
      }
      assert.isAbove(agents.size, 0)
      assert.deepStrictEqual(new Set(agents.values()), new Set(["offline"]))
    }).pipe(Effect.provide(quiet))
  )

  it("waits as long as the gateway asks, then tells the same thing again", async () => {
    const gateway = await fakeGateway((count, response) => {
      if (count === 1) response.writeHead(429, { "retry-after": "1" }).end()
      else if (count === 2) response.writeHead(503, { "retry-after": "0" }).end()
      else accept(count, response)
      if (count === 3) demo.kill("SIGINT")
    })
    const demo = start(gateway.port)
    const begin = performance.now()
    const { code, out } = await ended(demo)
    gateway.close()
    assert.strictEqual(code, 0)
    assert.isAtLeast(performance.now() - begin, 1000)
    assert.include(out, "the gateway answers 429")
    const [first, second, third] = gateway.asked
    assert.strictEqual(second?.line, first?.line)
    assert.strictEqual(third?.line, first?.line)
    assert.strictEqual(first?.authorization, "Bearer s3cret")
  })

  it("tells the same story for the same seed, another for another", async () => {
    const told = async (seed: string) => {
      const gateway = await fakeGateway((count, response) => {
        accept(count, response)
        if (count === 20) demo.kill("SIGINT")
      })
      const demo = start(gateway.port, "--rate", "1000", "--seed", seed)
      await ended(demo)
      gateway.close()
      return gateway.asked.slice(0, 20).map(({ line }) => line)
    }
    const [story, same, other] = await Promise.all([told("7"), told("7"), told("8")])
    assert.deepStrictEqual(same, story)
    assert.notDeepEqual(other, story)
  })

  it("ends on Ctrl-C, and after --seconds, with a word of what it did", async () => {
    const gateway = await fakeGateway(accept)
    const stopped = start(gateway.port)
    stopped.stdout?.once("data", () => stopped.kill("SIGINT"))
    const ends = await Promise.all([ended(stopped), ended(start(gateway.port, "--seconds", "0.2"))])
    gateway.close()
    for (const { code, out } of ends) {
      assert.strictEqual(code, 0)
      assert.match(out, /stopped after \d+ events\n$/)
    }
  })

  it("says plainly that no gateway answers, that something else does, that a setting is wrong", async () => {
    const other = await fakeGateway((_count, response) => response.writeHead(404).end("nothing here"))
    const [elsewhere, wrong] = await Promise.all([ended(start(other.port)), ended(start(other.port, "--rate", "none"))])
    other.close()
    const nobody = await ended(start(other.port))
    assert.deepStrictEqual([nobody.code, elsewhere.code, wrong.code], [1, 1, 1])
    assert.include(nobody.err, `No gateway answers at http://127.0.0.1:${other.port}`)
    assert.include(nobody.err, "npm start")
    assert.include(elsewhere.err, "answers 404")
    assert.include(wrong.err, '--rate must be a number above 0, is "none"')
  })
})
