/**
 * When each connection is pinged, and when it is dead.
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
  /** `now` is in milliseconds on the monotonic clock. */
  readonly ping: (now: number) => void
  /** No sign of life for the whole timeout. */
  readonly onTimeout: () => void
}

/** A connection under watch.
 * @since 0.1.0
 * @category models */
export interface LivenessWatch {
  /** A frame came in: restarts the timeout. `now` is in milliseconds on the monotonic clock. */
  readonly signOfLife: (now: number) => void
  /** Ends the watch. */
  readonly stop: () => void
}

/** Pings each connection at every interval since it opened, and ends it when the timeout has passed since its last sign of life.
 * @since 0.1.0
 * @category tags */
export class Heartbeat extends Context.Tag("stratix/Heartbeat")<
  Heartbeat,
  {
    /** Watches a connection until it is stopped. */
    readonly watch: (peer: Peer) => LivenessWatch
  }
>() {}

/** Milliseconds of which the pings share a turn of the event loop where timers are late in any case; ten thousand connections would take a thousand turns a second. */
const SHARED_TURN = 20

class Watched implements LivenessWatch {
  readonly ping: TimeoutQueues.Timeout<Watched>
  readonly death: TimeoutQueues.Timeout<Watched>

  constructor(
    readonly peer: Peer,
    private readonly pings: TimeoutQueues.TimeoutQueue<Watched>,
    private readonly deaths: TimeoutQueues.TimeoutQueue<Watched>,
    now: number
  ) {
    this.ping = new TimeoutQueues.Timeout<Watched>(this)
    this.death = new TimeoutQueues.Timeout<Watched>(this)
    pings.start(this.ping, now)
    deaths.start(this.death, now)
  }

  signOfLife(now: number): void {
    if (this.death.running) this.deaths.start(this.death, now)
  }

  stop(): void {
    this.pings.stop(this.ping)
    this.deaths.stop(this.death)
  }
}

const make = Effect.gen(function* () {
  const config = yield* StatusSyncConfig.StatusSyncConfig
  const clock = yield* Effect.clock
  const deadlines = yield* TimeoutQueues.make
  // Deaths before pings: a connection that dies at the time of its ping is not pinged.
  const deaths = deadlines.queue(config.heartbeatTimeout, (watched: Watched) => {
    pings.stop(watched.ping)
    watched.peer.onTimeout()
  })
  const pings = deadlines.queue(
    config.heartbeatInterval,
    (watched: Watched, now) => {
      // Schedule the next ping first: a pong that arrives at once must find the watch in order.
      pings.repeat(watched.ping, now)
      watched.peer.ping(now)
    },
    SHARED_TURN
  )

  return Heartbeat.of({ watch: (peer) => new Watched(peer, pings, deaths, TimeoutQueues.monotonicMillis(clock)) })
})

/** The heartbeat with `heartbeatInterval` and `heartbeatTimeout`: one fiber for all connections.
 * @since 0.1.0
 * @category layers */
export const layer: Layer.Layer<Heartbeat, never, StatusSyncConfig.StatusSyncConfig> = Layer.scoped(Heartbeat, make)
