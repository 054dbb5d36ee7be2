/**
 * What the workers of a gateway answer together: the primary asks them all.
 */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Schema from "effect/Schema"
import { type Link, Topic } from "../channel/Link.js"
import * as MetricsCollector from "../operations/MetricsCollector.js"
import * as Prometheus from "../telemetry/Prometheus.js"

/** Time for a worker to answer; one that hangs is left out. */
const PATIENCE = "2 seconds"

const Families = Schema.parseJson(
  Schema.Record({
    key: Schema.String,
    value: Schema.Struct({
      type: Schema.Literal("counter", "gauge", "histogram"),
      help: Schema.String,
      samples: Schema.mutable(Schema.Array(Schema.Tuple(Schema.String, Schema.Number)))
    })
  })
)
const decode = Schema.decodeSync(Families)

/** Answers for all workers. */
export class Answers {
  private readonly links = new Set<Link>()
  // What each worker counted when it was last asked.
  private readonly last = new Map<Link, Prometheus.Families>()
  private departed: Prometheus.Families = {}

  /** `refresh` brings what the workers know of the log up to date. */
  constructor(
    private readonly refresh: () => void,
    private readonly run: (effect: Effect.Effect<void>) => void
  ) {}

  /** Asks this worker as well from now on. */
  add(link: Link): void {
    this.links.add(link)
    link.closed(() => {
      this.links.delete(link)
      const counted = this.last.get(link)
      this.last.delete(link)
      // It stays counted: a count never falls.
      if (counted !== undefined) this.departed = Prometheus.merge([this.departed, Prometheus.counted(counted)])
    })
  }

  /** Answers what this worker asks of all. */
  serve(link: Link): void {
    link.answer(Topic.askAll, (texts, reply) => {
      const [what] = texts
      this.run(Effect.map(what === Prometheus.QUESTION ? this.metrics : this.ask(texts), reply))
    })
  }

  private ask(texts: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<string>> {
    return Effect.map(
      Effect.forEach(this.links, (link) => this.askOne(link, texts), { concurrency: "unbounded" }),
      (answers) => answers.flat()
    )
  }

  private askOne(link: Link, texts: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<string>> {
    return link
      .ask(Topic.report, texts)
      .pipe(Effect.timeoutTo({ duration: PATIENCE, onSuccess: (answer) => answer ?? [], onTimeout: () => [] }))
  }

  private readonly metrics = Effect.gen(this, function* () {
    this.refresh()
    yield* Effect.forEach(
      this.links,
      (link) =>
        Effect.map(this.askOne(link, [Prometheus.QUESTION]), ([text]) => {
          if (text !== undefined && this.links.has(link)) this.last.set(link, decode(text))
        }),
      { concurrency: "unbounded", discard: true }
    )
    MetricsCollector.reportProcess()
    const own = Prometheus.read(yield* Metric.snapshot, Prometheus.OWN)
    return [Prometheus.text(Prometheus.merge([this.departed, own, ...this.last.values()]))]
  })
}
