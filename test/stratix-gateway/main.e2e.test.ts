import { once } from "node:events"
import { cp, mkdir, realpath, symlink } from "node:fs/promises"
import { createRequire } from "node:module"
import { createServer } from "node:net"
import { dirname, join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import WebSocket from "ws"
import { buildProgram } from "../stratix-cli/support/build.js"
import { untilAnswer } from "../support/waiting.js"
import { folder } from "./support/files.js"
import { portOf, startGateway, startProgram } from "./support/standAlone.js"

interface Told {
  readonly eventType: string
  readonly payload: object
}

const isTold = (value: unknown): value is Told =>
  typeof value === "object" && value !== null && "eventType" in value && "payload" in value

/** The numbers that were published, whether they came one by one or many in one message. */
const numbers = (messages: ReadonlyArray<Told>): ReadonlyArray<unknown> =>
  messages.flatMap(({ eventType, payload }) => {
    if (eventType === "stratix:n") return "n" in payload ? [payload.n] : []
    return "events" in payload && Array.isArray(payload.events) ? numbers(payload.events.filter(isTold)) : []
  })

const upTo = (count: number) => Array.from({ length: count }, (_, n) => n)

/** A client of the stand-alone gateway. */
class Dashboard {
  readonly messages: Array<{ readonly eventType: string; readonly payload: Record<string, unknown> }> = []
  readonly socket: WebSocket
  readonly closed: Promise<number>
  private look = () => {}

  constructor(port: number, protocols: ReadonlyArray<string> = []) {
    this.socket = new WebSocket(`ws://127.0.0.1:${port}/`, [...protocols], { perMessageDeflate: false })
    this.socket.on("message", (data: Buffer) => {
      this.messages.push(JSON.parse(data.toString()))
      this.look()
    })
    this.socket.on("error", () => undefined)
    this.closed = once(this.socket, "close").then(([code]) => code)
  }

  /** Completes once it has this many messages. */
  has(count: number): Promise<void> {
    return new Promise((resolve) => {
      this.look = () => {
        if (this.messages.length >= count) resolve()
      }
      this.look()
    })
  }
}

const post = async (port: number, events: ReadonlyArray<unknown>) => {
  const answer = await fetch(`http://127.0.0.1:${port}/api/stratix/events`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(events)
  })
  assert.strictEqual(answer.status, 202)
}

/** Asks until the answer is as wanted. */
const until = <A>(ask: () => Promise<A>, isWanted: (answer: A) => boolean): Promise<A> =>
  Effect.runPromise(untilAnswer(Effect.promise(ask), isWanted))

const readyz = async (port: number) => {
  const answer = await fetch(`http://127.0.0.1:${port}/readyz`)
  return { status: answer.status, body: await answer.json() }
}

/** Publishes until a client that does not read is held up at the gateway, beyond what the kernel keeps for it; answers how many events that were. */
const holdUp = async (port: number) => {
  const pad = "x".repeat(100_000)
  let n = 0
  await until(
    async () => {
      await post(
        port,
        upTo(30).map(() => ({ eventType: "stratix:n", payload: { n: n++, pad } }))
      )
      const answer = await fetch(`http://127.0.0.1:${port}/api/stratix/connections`)
      const { connections }: { connections: ReadonlyArray<{ state: string }> } = await answer.json()
      return connections.some(({ state }) => state === "stalled")
    },
    (isStalled) => isStalled
  )
  return n
}

/** A process that has nothing to wait for ends within this time after its deadline, on a busy machine. */
const MARGIN_MS = 10_000

describe("the stand-alone gateway on SIGTERM", () => {
  it("tells everybody, loses nothing, answers readyz with 503 meanwhile, and ends with exit code 0", async () => {
    const gateway = await startGateway({ STRATIX_DRAIN_TIMEOUT: "20 seconds" })
    const port = await portOf(gateway)
    const synced = upTo(8).map(() => new Dashboard(port, ["stratix.sync.v1"]))
    const plain = new Dashboard(port)
    const slow = new Dashboard(port, ["stratix.sync.v1"])
    await Promise.all([...synced, slow].map((dashboard) => dashboard.has(2)))
    await plain.has(1)
    slow.socket.pause()
    const count = await holdUp(port)

    gateway.child.kill("SIGTERM")
    // The slow one holds the drain up.
    const refused = await until(
      () => readyz(port),
      ({ status }) => status !== 200
    )
    assert.deepStrictEqual(refused, { status: 503, body: { status: "draining" } })
    const late = new WebSocket(`ws://127.0.0.1:${port}/`)
    late.on("error", () => undefined)
    const [, response] = await once(late, "unexpected-response")
    assert.strictEqual(response.statusCode, 503)
    late.terminate()
    // Once more does no harm.
    gateway.child.kill("SIGTERM")
    slow.socket.resume()

    for (const dashboard of [...synced, plain, slow]) {
      assert.strictEqual(await dashboard.closed, 1001)
      assert.deepStrictEqual(numbers(dashboard.messages), upTo(count))
    }
    const waits = [...synced, slow].map(({ messages }) => {
      assert.strictEqual(messages.at(-1)?.eventType, "stratix:closing")
      return messages.at(-1)?.payload["retryAfterMs"]
    })
    assert.isAbove(new Set(waits).size, 1)
    assert.isFalse(plain.messages.some(({ eventType }) => eventType === "stratix:closing"))
    const { code, signal } = await gateway.ended
    assert.deepStrictEqual([code, signal], [0, null])
  }, 60_000)

  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
    it(`ends at the deadline although one client is frozen (${signal}, and a second one soon after)`, async () => {
      const gateway = await startGateway({ STRATIX_DRAIN_TIMEOUT: "2 seconds" })
      const port = await portOf(gateway)
      const frozen = new Dashboard(port)
      const other = new Dashboard(port)
      await Promise.all([frozen.has(1), other.has(1)])
      frozen.socket.pause()
      const count = await holdUp(port)
      const before = performance.now()
      gateway.child.kill(signal)
      await until(
        () => readyz(port),
        ({ status }) => status === 503
      )
      gateway.child.kill(signal)
      assert.strictEqual(await other.closed, 1001)
      assert.deepStrictEqual(numbers(other.messages), upTo(count))
      const ended = await gateway.ended
      const took = performance.now() - before
      assert.deepStrictEqual([ended.code, ended.signal], [0, null])
      assert.match(ended.output, /level=INFO .*message="drained: 1 clients closed, 1 terminated after 2s/)
      assert.strictEqual(ended.output.match(/level=INFO .*message="Stratix gateway stopped"/g)?.length, 1)
      assert.isAtLeast(took, 2000)
      assert.isBelow(took, 2000 + MARGIN_MS)
      frozen.socket.terminate()
    }, 60_000)
  }
})

describe("the stand-alone gateway whose log cannot be written", () => {
  /** Refusals are logged, the first at once. */
  const isRefused = async (port: number) => {
    const { status } = await fetch(`http://127.0.0.1:${port}/healthz`, { headers: { origin: "https://evil.example" } })
    return status === 403
  }
  const linesLost = async (port: number) => {
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
    return Number(/^stratix_log_lines_lost_total (\d+)/m.exec(text)?.[1])
  }

  it("because the pipe is closed goes on, and counts the lines", async () => {
    const gateway = await startGateway()
    const port = await portOf(gateway)
    gateway.child.stdout?.destroy()
    assert.isTrue(await isRefused(port))
    await until(
      () => linesLost(port),
      (lost) => lost > 0
    )
    gateway.child.kill("SIGTERM")
    assert.strictEqual((await gateway.ended).code, 0)
  }, 60_000)

  it.skipIf(process.platform !== "linux")(
    "because the disk is full goes on, and counts the lines",
    async () => {
      const free = createServer().listen(0, "127.0.0.1")
      await once(free, "listening")
      const address = free.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      free.close()
      await once(free, "close")
      const gateway = await startGateway({ STRATIX_PORT: String(port) }, "exec >/dev/full")
      await until(
        () => isRefused(port).catch(() => false),
        (refused) => refused
      )
      await until(
        () => linesLost(port),
        (lost) => lost > 1
      )
      gateway.child.kill("SIGTERM")
      assert.deepInclude(await gateway.ended, { code: 0, output: "" })
    },
    60_000
  )
})

describe("the stand-alone gateway that cannot start", () => {
  const complaint = async (environment: Record<string, string>) => {
    const { code, output } = await (await startGateway(environment)).ended
    assert.strictEqual(code, 1)
    const lines = output.trimEnd().split("\n")
    assert.strictEqual(lines.length, 1, output)
    return output
  }

  it("says in one line which setting is wrong, and ends with exit code 1", async () => {
    const cases: ReadonlyArray<readonly [Record<string, string>, RegExp]> = [
      [{ STRATIX_PORT: "a port" }, /STRATIX_PORT.*must be a whole number from 0 to 65535.*a port/],
      [{ STRATIX_PORT: "70000" }, /STRATIX_PORT.*0 to 65535.*70000/],
      [{ STRATIX_PORT: "70000", STRATIX_LOG_LEVEL: "none" }, /STRATIX_PORT.*0 to 65535.*70000/],
      [{ STRATIX_DRAIN_TIMEOUT: "30 days" }, /STRATIX_DRAIN_TIMEOUT.*from 0 to 24d/],
      [{ STRATIX_HEARTBEAT_TIMEOUT: "soon" }, /STRATIX_HEARTBEAT_TIMEOUT.*duration.*soon/],
      [{ STRATIX_HEARTBEAT_TIMEOUT: "10 seconds" }, /STRATIX_HEARTBEAT_TIMEOUT.*above the interval/]
    ]
    await Promise.all(cases.map(async ([environment, pattern]) => assert.match(await complaint(environment), pattern)))
  }, 60_000)

  it("says in one line which port is in use, and what to do", async () => {
    const taken = createServer().listen(0, "127.0.0.1")
    await once(taken, "listening")
    const address = taken.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    assert.match(
      await complaint({ STRATIX_PORT: String(port) }),
      new RegExp(`127.0.0.1:${port} is already in use.*STRATIX_PORT`)
    )
    taken.close()
  }, 60_000)
})

describe("a gateway whose packages are linked, as pnpm links them", () => {
  it.live(
    "loads the client of Redis whole, with a pipe for its standard output",
    () =>
      Effect.gen(function* () {
        const place = yield* folder
        yield* Effect.promise(async () => {
          await cp(dirname(await buildProgram("stratix-gateway")), join(place, "program"), { recursive: true })
          const client = createRequire(import.meta.url).resolve("@redis/client/package.json")
          await mkdir(join(place, "node_modules", "@redis"), { recursive: true })
          await symlink(dirname(await realpath(client)), join(place, "node_modules", "@redis", "client"))
        })
        const program = yield* Effect.acquireRelease(
          Effect.sync(() =>
            startProgram(process.execPath, [join(place, "program", "stratix-gateway.js")], {
              STRATIX_LOG_FORMAT: "logfmt",
              STRATIX_EVENT_LOG: "redis://127.0.0.1:1"
            })
          ),
          ({ child, ended }) =>
            Effect.promise(() => {
              child.kill("SIGKILL")
              return ended
            })
        )
        yield* Effect.promise(() =>
          program.prints(/127\.0\.0\.1:1 does not answer, and is tried again: .*ECONNREFUSED/)
        )
      }).pipe(Effect.scoped),
    60_000
  )
})
