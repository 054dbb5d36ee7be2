/**
 * Brings events to the gateway: one request at a time, in order, again until it is answered.
 *
 * @since 0.1.0
 */
import { type Answer, answerOf, retryAfterOf } from "./Answer.js"
import type { Environment } from "./Environment.js"
import type { Item, Outbox } from "./Outbox.js"
import type { PublisherProblem } from "./PublisherApi.js"

/** Events of one request: half of what a gateway takes, so that the largest request is answered soon. */
const MAX_EVENTS = 500

/** Characters of one request. A gateway takes 4 MiB of UTF-8, unless it was told otherwise. */
const MAX_CHARACTERS = 1024 * 1024

/** A gateway answers in milliseconds; one that takes longer than this does not answer. */
const ANSWER_TIMEOUT = 10_000

/** The first pause is between 0 and so many milliseconds, and twice as long with every further failure, up to the longest. */
const FIRST_PAUSE = 250
const LONGEST_PAUSE = 10_000

/** Events that are sent in one request, under one idempotency key. */
interface Batch {
  readonly key: string
  readonly items: ReadonlyArray<Item>
}

/** What delivery needs. */
export interface DeliveryOptions {
  readonly url: string
  /** What is added to every path. */
  readonly query: string
  readonly token: (() => string | Promise<string>) | undefined
  readonly environment: Environment
  readonly outbox: Outbox
  /** Called with the gateway's answer and the keys that it has just taken. */
  readonly onAccepted: (answer: Answer & { readonly _tag: "Accepted" }, keys: ReadonlySet<string>) => void
  readonly onProblem: (problem: PublisherProblem) => void
}

/** What came of a request. */
export interface Outcome {
  /** `undefined`: there was none. */
  readonly answer: Answer | undefined
  readonly retryAfter: number | undefined
  readonly message: string
}

/** Why a request failed. In Node the error only says that it did, and its cause why. */
const reasonOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error)
  const { cause } = error
  if (!(cause instanceof Error)) return error.message
  // Of several addresses that were tried there is only the code.
  return cause.message === "" && "code" in cause ? String(cause.code) : cause.message
}

/** Sends what is in the outbox. */
export class Delivery {
  // Bound: what one request was split into, and it is empty before another is taken.
  private batches: Array<Batch> = []
  private sending = false
  private failures = 0
  private cancelPause: (() => void) | undefined
  private stopped = false
  private readonly waiting = new Set<() => void>()

  constructor(private readonly options: DeliveryOptions) {}

  /** Whether everything is published. */
  get isIdle(): boolean {
    return !this.sending && this.batches.length === 0 && this.options.outbox.size === 0
  }

  /** Events that are in no outbox any more, and not yet published. */
  get underWay(): number {
    return this.batches.reduce((sum, { items }) => sum + items.length, 0)
  }

  /** Whether an event of this key is on its way. */
  isSending(key: string): boolean {
    return this.batches.some(({ items }) => items.some((item) => item.key === key))
  }

  /** There may be something to send. Within this turn of the event loop more may come: it is sent together. */
  wake(): void {
    if (this.stopped || this.sending || this.cancelPause !== undefined) return
    this.sending = true
    queueMicrotask(() => void this.run())
  }

  /** Calls back once everything is published. Until then the process is kept, and the gateway asked again at once. */
  onIdle(listener: () => void): () => void {
    if (this.isIdle) {
      listener()
      return () => {}
    }
    this.waiting.add(listener)
    this.endPause()
    this.wake()
    return () => this.waiting.delete(listener)
  }

  stop(): void {
    this.stopped = true
    this.endPause()
  }

  /** Posts JSON and reads the answer; never fails. */
  async post(path: string, body: string, count: number, key?: string): Promise<Outcome> {
    const { environment, query, token, url } = this.options
    const aborting = new AbortController()
    const cancel = environment.setTimer(() => aborting.abort(), ANSWER_TIMEOUT, true)
    try {
      const bearer = await token?.()
      const response = await environment.fetch(`${url}${path}${query}`, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          ...(bearer !== undefined && { authorization: `Bearer ${bearer}` }),
          ...(key !== undefined && { "idempotency-key": key })
        },
        body,
        signal: aborting.signal
      })
      const answer = answerOf(response.status, await response.text(), count)
      return { answer, retryAfter: retryAfterOf(response.headers.get("retry-after")), message: "" }
    } catch (error) {
      const reason = aborting.signal.aborted ? "no answer in time" : reasonOf(error)
      return { answer: undefined, retryAfter: undefined, message: `${url}: ${reason}` }
    } finally {
      cancel()
    }
  }

  private endPause(): void {
    this.cancelPause?.()
    this.cancelPause = undefined
  }

  private async run(): Promise<void> {
    for (;;) {
      const batch = this.next()
      if (batch === undefined || this.stopped) break
      const json = `[${batch.items.map((item) => item.json).join()}]`
      const outcome = await this.post("/api/stratix/events", json, batch.items.length, batch.key)
      if (this.stopped) return
      if (!this.settle(batch, outcome)) {
        this.pause(outcome.retryAfter)
        break
      }
    }
    this.sending = false
    if (!this.isIdle) return
    const listeners = [...this.waiting]
    this.waiting.clear()
    for (const listener of listeners) listener()
  }

  /** The request to make now. */
  private next(): Batch | undefined {
    const [first] = this.batches
    if (first === undefined) {
      const items = this.options.outbox.take(MAX_EVENTS, MAX_CHARACTERS)
      if (items.length > 0) this.batches = [this.batchOf(items)]
    } else if (this.failures > 0 && first.items.every(({ key }) => key !== undefined)) {
      // States may be said again under another key, so those that are no longer so are left out. Other events must keep the key, or might happen twice.
      const current = first.items.filter(({ key }) => key === undefined || !this.options.outbox.has(key))
      if (current.length < first.items.length) {
        this.batches = [...(current.length > 0 ? [this.batchOf(current)] : []), ...this.batches.slice(1)]
        return this.next()
      }
    }
    return this.batches[0]
  }

  private batchOf(items: ReadonlyArray<Item>): Batch {
    return { key: this.options.environment.newKey(), items }
  }

  /** Takes note of what came of a request. `false`: it must be made again, after a pause. */
  private settle({ items }: Batch, { answer, message }: Outcome): boolean {
    const { onAccepted, outbox } = this.options
    const rest = this.batches.slice(1)
    switch (answer?._tag) {
      case undefined:
        this.report(undefined, message)
        return false
      case "Accepted":
        this.failures = 0
        this.batches = rest
        onAccepted(answer, new Set(items.flatMap(({ key }) => key ?? [])))
        return true
      case "Refused":
        return this.leaveOut(items, answer.index, answer.message, rest)
      case "TooLarge": {
        if (items.length === 1) return this.leaveOut(items, 0, "is larger than the gateway takes", rest)
        const half = items.length >> 1
        this.batches = [this.batchOf(items.slice(0, half)), this.batchOf(items.slice(half)), ...rest]
        return true
      }
      default:
        // It was answered, so nothing of it was published.
        outbox.restore(this.batches.flatMap((batch) => batch.items))
        this.batches = []
        this.report(answer, "")
        return false
    }
  }

  /** Tells of an answer that was none, or a refusal. */
  report(answer: Exclude<Answer, { readonly _tag: "Accepted" }> | undefined, message: string): void {
    const { onProblem } = this.options
    if (answer === undefined) onProblem({ _tag: "Unreachable", message })
    else if ("status" in answer) onProblem({ _tag: answer._tag, message: `${answer.status} ${answer.message}`.trim() })
    else onProblem({ _tag: "Strange", message: "message" in answer ? answer.message : answer._tag })
  }

  /** A request is all or nothing: the others go without the event that the gateway refused. */
  private leaveOut(items: ReadonlyArray<Item>, index: number, message: string, rest: ReadonlyArray<Batch>): true {
    const others = items.filter((_, i) => i !== index)
    this.batches = [...(others.length > 0 ? [this.batchOf(others)] : []), ...rest]
    this.options.onProblem({ _tag: "Refused", event: items[index]?.json ?? "", message })
    return true
  }

  private pause(retryAfter: number | undefined): void {
    const { environment } = this.options
    const ceiling = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** this.failures++)
    this.cancelPause = environment.setTimer(
      () => {
        this.cancelPause = undefined
        this.wake()
      },
      retryAfter ?? environment.random() * ceiling,
      this.waiting.size > 0
    )
  }
}
