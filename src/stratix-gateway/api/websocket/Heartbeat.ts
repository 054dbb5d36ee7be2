/**
 * Who is pinged when, and who is dead.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as StatusSyncConfig from "../../config/StatusSyncConfig.js"
import * as TimeoutQueues from "../../runtime/TimeoutQueues.js"

/** What the heartbeat does to a connection.
 * @since 0.1.0
 * @category models */
export interface Peer {
  /** It is `now` on the monotonic clock, in milliseconds. */
  readonly ping: (now: number) => void
  /** No sign of life for the whole timeout. */
  readonly onTimeout: () => void
}

/** A connection under watch.
 * @since 0.1.0
 * @category models */
export interface LivenessWatch {
  /** A frame came in: the timeout starts anew. */
  readonly signOfLife: () => void
  /** The end of the watch. */
  readonly stop: () => void
}

/** Pings each connection every interval from its own opening, and ends it at the timeout after its last sign of life.
 * @since 0.1.0
 * @category tags */
export class Heartbeat extends Context.Tag("stratix/Heartbeat")<
  Heartbeat,
  {
    /** Watches a connection until it is stopped. */
    readonly watch: (peer: Peer) => LivenessWatch
  }
>() {}

class Watched implements LivenessWatch {
  readonly ping: TimeoutQueues.Timeout<Watched>
  readonly death: TimeoutQueues.Timeout<Watched>

  constructor(
    readonly peer: Peer,
    private readonly pings: TimeoutQueues.TimeoutQueue<Watched>,
    private readonly deaths: TimeoutQueues.TimeoutQueue<Watched>
  ) {
    this.ping = new TimeoutQueues.Timeout<Watched>(this)
    this.death = new TimeoutQueues.Timeout<Watched>(this)
    pings.start(this.ping)
    deaths.start(this.death)
  }

  signOfLife(): void {
    if (this.death.running) this.deaths.start(this.death)
  }

  stop(): void {
    this.pings.stop(this.ping)
    this.deaths.stop(this.death)
  }
}

const make = Effect.gen(function* () {
  const config = yield* StatusSyncConfig.StatusSyncConfig
  const deadlines = yield* TimeoutQueues.make
  // Deaths before pings: at an equal time the dead are not pinged any more.
  const deaths = deadlines.queue(config.heartbeatTimeout, (watched: Watched) => {
    pings.stop(watched.ping)
    watched.peer.onTimeout()
  })
  const pings = deadlines.queue(config.heartbeatInterval, (watched: Watched, now) => {
    // First the next one: a pong that comes in at once must find the watch in order.
    pings.repeat(watched.ping, now)
    watched.peer.ping(now)
  })

  return Heartbeat.of({ watch: (peer) => new Watched(peer, pings, deaths) })
})

/** The heartbeat by `heartbeatInterval` and `heartbeatTimeout`: one fiber for all connections.
 * @since 0.1.0
 * @category layers */
export const layer: Layer.Layer<Heartbeat, never, StatusSyncConfig.StatusSyncConfig> = Layer.scoped(Heartbeat, make)
