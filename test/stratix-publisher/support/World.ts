import {
  createPublisher,
  type Environment,
  type PublisherOptions,
  type PublisherProblem,
  type PublishRequest,
  type PublishResponse
} from "../../../src/stratix-publisher/Publisher.js"

/** An event as the gateway got it. */
export interface Received {
  readonly eventType: string
  readonly payload: { readonly [name: string]: unknown }
  readonly extra?: object
  readonly leaseMs?: number
  readonly endCommands?: boolean
}

/** How the gateway answers. `deaf`: it takes what it gets and its answers are lost. */
type Manner = "well" | "away" | "deaf" | "frozen" | { readonly status: number; readonly retryAfter?: string }

const answer = (status: number, body: object, headers: Readonly<Record<string, string>> = {}): PublishResponse => ({
  status,
  headers: { get: (name) => headers[name] ?? null },
  text: () => Promise.resolve(JSON.stringify(body))
})

/** A gateway as a publisher sees it: it remembers idempotency keys, and who has a lease. */
export class FakeGateway {
  epoch = "e1"
  manner: Manner = "well"
  /** Refuses an event whose payload has this field. */
  refuses = "wrong"
  events: Array<Received> = []
  requests: Array<{
    readonly path: string
    readonly headers: Readonly<Record<string, string>>
    readonly body: string
  }> = []
  leases = new Set<unknown>()
  private keys = new Set<string>()

  /** It is killed and started again, and has forgotten everything. */
  restart(): void {
    this.epoch = `${this.epoch}'`
    this.events = []
    this.leases.clear()
    this.keys.clear()
  }

  fetch(url: string, { body, headers, signal }: PublishRequest): Promise<PublishResponse> {
    const path = new URL(url).pathname
    this.requests.push({ path, headers, body })
    if (this.manner === "away") return Promise.reject(new TypeError("fetch failed"))
    if (typeof this.manner === "object") {
      const { retryAfter, status } = this.manner
      return Promise.resolve(
        answer(
          status,
          { error: "TooMany", message: "not now" },
          retryAfter === undefined ? {} : { "retry-after": retryAfter }
        )
      )
    }
    if (this.manner === "frozen")
      return new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)))
    const taken = path === "/api/stratix/leases" ? this.renew(body) : this.take(headers["idempotency-key"] ?? "", body)
    return this.manner === "deaf" ? Promise.reject(new TypeError("socket hang up")) : Promise.resolve(taken)
  }

  private renew(body: string): PublishResponse {
    const { agents }: { readonly agents: ReadonlyArray<string> } = JSON.parse(body)
    return answer(200, { epoch: this.epoch, missing: agents.filter((id) => !this.leases.has(id)) })
  }

  private take(key: string, body: string): PublishResponse {
    const events: ReadonlyArray<Received> = JSON.parse(body)
    const wrong = events.findIndex(({ payload }) => this.refuses in payload)
    if (wrong !== -1) {
      const field = events.length > 1 ? `${wrong}.payload.wrong` : "payload.wrong"
      return answer(400, { error: "InvalidField", field, message: `${field}: is wrong` })
    }
    if (!this.keys.has(key)) {
      this.keys.add(key)
      this.events.push(...events)
      for (const { eventType, leaseMs, payload } of events) {
        if (eventType !== "stratix:agent_status_update" && eventType !== "stratix:agent_remove") continue
        if (leaseMs === undefined) this.leases.delete(payload["agentId"])
        else this.leases.add(payload["agentId"])
      }
    }
    return answer(202, { offsets: [], epoch: this.epoch })
  }
}

interface Timer {
  readonly at: number
  readonly task: () => void
}

/** Lets everything that waits for nothing but its turn take it. */
const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

/** A publisher on a clock that only the test moves. */
export const makeWorld = (options: Partial<PublisherOptions> = {}) => {
  const gateway = new FakeGateway()
  const problems: Array<PublisherProblem> = []
  const timers = new Set<Timer>()
  let now = 0
  let keys = 0
  const environment: Environment = {
    fetch: (url, request) => gateway.fetch(url, request),
    // The longest pause.
    random: () => 1,
    newKey: () => `key-${++keys}`,
    setTimer: (task, millis) => {
      const timer = { at: now + millis, task }
      timers.add(timer)
      return () => timers.delete(timer)
    }
  }
  const publisher = createPublisher({
    url: "http://gateway.test",
    environment,
    onProblem: (problem) => problems.push(problem),
    ...options
  })

  const advance = async (millis: number) => {
    const end = now + millis
    await turn()
    for (;;) {
      const due = [...timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0]
      if (due === undefined) break
      timers.delete(due)
      now = due.at
      due.task()
      await turn()
    }
    now = end
  }

  /** What was published, in short. */
  const said = () =>
    gateway.events.map(({ eventType, payload }) =>
      [
        eventType.replace("stratix:", ""),
        payload["commandId"] ?? payload["agentId"],
        payload["commandStatus"] ?? payload["status"]
      ]
        .filter((part) => part !== undefined)
        .join(" ")
    )

  return { publisher, gateway, problems, timers, advance, said, settled: turn }
}
