/**
 * Who is pinged when, and who is dead.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as StatusSyncConfig from "../../StatusSyncConfig.js"
import * as Deadlines from "./Deadlines.js"

/** What the heartbeat does to a connection.
 * @since 0.1.0
 * @category models */
export interface Peer {
  /** It is `now` on the monotonic clock, in milliseconds. */
  readonly unsafePing: (now: number) => void
  /** No sign of life for the whole timeout. */
  readonly unsafeTimeout: () => void
}

/** A connection under watch.
 * @since 0.1.0
 * @category models */
export interface Pulse {
  /** A frame came in: the timeout starts anew. */
  readonly unsafeSignOfLife: () => void
  /** The end of the watch. */
  readonly unsafeStop: () => void
}

/** Pings each connection every interval from its own opening, and ends it at the timeout after its last sign of life.
 * @since 0.1.0
 * @category tags */
export class Heartbeat extends Context.Tag("stratix/Heartbeat")<
  Heartbeat,
  {
    /** Watches a connection until it is stopped. */
    readonly unsafeTrack: (peer: Peer) => Pulse
  }
>() {}

class Watched implements Pulse {
  readonly ping: Deadlines.Wait<Watched>
  readonly death: Deadlines.Wait<Watched>

  constructor(
    readonly peer: Peer,
    private readonly pings: Deadlines.WaitQueue<Watched>,
    private readonly deaths: Deadlines.WaitQueue<Watched>
  ) {
    this.ping = new Deadlines.Wait<Watched>(this)
    this.death = new Deadlines.Wait<Watched>(this)
    pings.unsafeStart(this.ping)
    deaths.unsafeStart(this.death)
  }

  unsafeSignOfLife(): void {
    if (this.death.waiting) this.deaths.unsafeStart(this.death)
  }

  unsafeStop(): void {
    this.pings.unsafeStop(this.ping)
    this.deaths.unsafeStop(this.death)
  }
}

const make = Effect.gen(function* () {
  const config = yield* StatusSyncConfig.StatusSyncConfig
  const deadlines = yield* Deadlines.make
  // Deaths before pings: at an equal time the dead are not pinged any more.
  const deaths = deadlines.unsafeQueue(config.heartbeatTimeout, (watched: Watched) => {
    pings.unsafeStop(watched.ping)
    watched.peer.unsafeTimeout()
  })
  const pings = deadlines.unsafeQueue(config.heartbeatInterval, (watched: Watched, now) => {
    // First the next one: a pong that comes in at once must find the watch in order.
    pings.unsafeRepeat(watched.ping, now)
    watched.peer.unsafePing(now)
  })

  return Heartbeat.of({ unsafeTrack: (peer) => new Watched(peer, pings, deaths) })
})

/** The heartbeat by `heartbeatInterval` and `heartbeatTimeout`: one fiber for all connections.
 * @since 0.1.0
 * @category layers */
export const layer: Layer.Layer<Heartbeat, never, StatusSyncConfig.StatusSyncConfig> = Layer.scoped(Heartbeat, make)
