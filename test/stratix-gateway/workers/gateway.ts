/** Gateways with workers, as processes, and the clients that tests watch them with. */
import { execFileSync } from "node:child_process"
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import WebSocket from "ws"
import { type Program, portOf, startGateway } from "../support/standAlone.js"

/** Milliseconds for tests that start programs, on a machine that does much else. */
export const PATIENCE = 180_000

/** Milliseconds after which a client gives up a request, and tries again. */
const UNANSWERED = 10_000

/** Milliseconds before a client comes back. */
const COMES_BACK = 20

/** A gateway with workers, and where it listens. */
export interface Gateway {
  readonly program: Program
  readonly port: number
}

/** Starts a gateway with two workers, or as many as the environment says. */
export const start = (environment: Record<string, string> = {}) =>
  Effect.acquireRelease(
    Effect.promise(async (): Promise<Gateway> => {
      const program = await startGateway({ STRATIX_WORKERS: "2", ...environment })
      return { program, port: await portOf(program) }
    }),
    ({ program }) => kill(program)
  )

/** Kills the primary -9, and waits until its workers have ended as well: they write to the same standard output. */
export const kill = ({ child, ended }: Program) =>
  Effect.promise(() => {
    child.kill("SIGKILL")
    return ended
  })

/** The process ids of the workers. */
export const workersOf = ({ child }: Program): ReadonlyArray<number> =>
  execFileSync("ps", ["-o", "pid=", "--ppid", String(child.pid)], { encoding: "utf8" })
    .split("\n")
    .flatMap((line) => (line.trim() === "" ? [] : [Number(line)]))

/** A sync client that goes on where it was. */
export class Screen {
  readonly numbers: Array<number> = []
  readonly modes: Array<string> = []
  /** The newest status of each agent. */
  readonly agents = new Map<string, string>()
  closed = 0
  socket: WebSocket | undefined
  private cursor: string | undefined
  private isOver = false

  constructor(private readonly port: number) {
    this.connect()
  }

  /** Leaves for good. */
  end(): void {
    this.isOver = true
    this.socket?.terminate()
  }

  private connect(): void {
    if (this.isOver) return
    const query = this.cursor === undefined ? "" : `?since=${this.cursor}`
    // A connection that was on its way to a worker when it was killed may never be answered.
    const socket = new WebSocket(`ws://127.0.0.1:${this.port}/${query}`, "stratix.sync.v1", {
      handshakeTimeout: UNANSWERED
    })
    this.socket = socket
    socket.on("error", () => undefined)
    socket.on("close", () => {
      this.closed++
      setTimeout(() => this.connect(), COMES_BACK)
    })
    socket.on("message", (data) => {
      const { eventType, payload } = JSON.parse(String(data))
      if (eventType === "stratix:sync") {
        this.modes.push(payload.mode)
        if (payload.mode === "snapshot") this.agents.clear()
        if (payload.count === 0) this.cursor = payload.to
      }
      for (const event of eventType === "stratix:events" ? payload.events : []) {
        if (event.eventType === "stratix:agent_status_update") {
          this.agents.set(event.payload.agentId, event.payload.status)
        } else this.numbers.push(event.payload.n)
        this.cursor = event.offset
      }
    })
  }
}

/** Screens that are gone at the end. */
export const screens = (port: number, count: number) =>
  Effect.acquireRelease(
    Effect.sync(() => Array.from({ length: count }, () => new Screen(port))),
    (all) =>
      Effect.sync(() => {
        for (const screen of all) screen.end()
      })
  )

/** Publishes until it is told that the log has it, as the publisher client does: a worker may die before it answers. */
export const publish = (port: number, key: string, ...events: ReadonlyArray<object>) =>
  Effect.tryPromise(async () => {
    const answer = await fetch(`http://127.0.0.1:${port}/api/stratix/events`, {
      method: "POST",
      headers: { "content-type": "application/json", "idempotency-key": key },
      body: JSON.stringify(events),
      signal: AbortSignal.timeout(UNANSWERED)
    })
    return { status: answer.status, text: await answer.text() }
  }).pipe(
    Effect.filterOrFail(({ status }) => status < 500),
    Effect.tapError(() => Effect.sleep("20 millis")),
    Effect.eventually,
    Effect.map(({ status, text }) => assert.strictEqual(status, 202, text))
  )

/** An event with a number. */
export const note = (n: number) => ({ eventType: "stratix:note", payload: { n } })

/** An agent's status. */
export const status = (agentId: string, of: string) => ({
  eventType: "stratix:agent_status_update",
  payload: { agentId, status: of }
})
