/**
 * What a running gateway finds about itself: as `doctor` before it starts, and how it fares.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Runtime from "effect/Runtime"
import * as Connections from "../api/websocket/Connections.js"
import * as Authenticator from "../auth/Authenticator.js"
import * as Primary from "../channel/Primary.js"
import * as StatusSyncConfig from "../config/StatusSyncConfig.js"
import * as Broadcast from "../fanout/Broadcast.js"
import * as EventLog from "../log/EventLog.js"
import { SLOW_AFTER } from "../telemetry/SlowClients.js"
import * as NodeServer from "../transport/NodeServer.js"
import * as Access from "./diagnosis/Access.js"
import * as BehindProxy from "./diagnosis/BehindProxy.js"
import * as Certificate from "./diagnosis/Certificate.js"
import * as Files from "./diagnosis/Files.js"
import { type Finding, ok, problem, warning } from "./diagnosis/Finding.js"
import * as Workers from "./diagnosis/Workers.js"

/** The part of `maxConnections` above which the next crowd that comes back may be refused. */
const NEARLY_FULL = 0.9

/** In a host application, which decides where it listens and what is encrypted. */
const asGuest = (given: StatusSyncConfig.Settings, open: boolean): ReadonlyArray<Finding> => [
  open
    ? warning(
        "authentication",
        "no token is asked for: every client that the host application lets through sees all",
        "provide an Authenticator that asks for one, unless the host application does"
      )
    : ok("authentication", "a token is asked for"),
  ...Access.origins(given, !open)
]

const onItsOwn = (given: StatusSyncConfig.Settings, open: boolean, now: number): ReadonlyArray<Finding> => [
  Access.tokens(given, open),
  ...Access.exposure(given, !open),
  ...BehindProxy.inSettings(given),
  ...(given.tlsCert === undefined ? [] : Certificate.inFile(given.tlsCert, now))
]

const ofLog = (log: typeof EventLog.EventLog.Service, where: string): Finding => {
  const { epochChanges, staleMillis, unread } = log.health()
  const { keys } = log.stats()
  if (staleMillis > 0) {
    return problem(
      "log",
      `it has been out of reach for ${Duration.format(Duration.millis(Math.round(staleMillis)))}: screens show what was so before, and nothing is published`,
      "docs/operations/scale.md says what to look at"
    )
  }
  if (where === "memory") return ok("log", `${keys} keys in memory: a restart forgets it, and no other gateway sees it`)
  const changes = epochChanges === 0 ? "" : `; it began anew ${epochChanges} times while this gateway ran`
  return ok("log", `${keys} keys, ${unread} events not read yet${changes}`)
}

const ofFanout = (broadcast: typeof Broadcast.Broadcast.Service): Finding => {
  if (broadcast.isFailing())
    return problem("events", "writing events fails again and again; the gateway's log says why", "restart the gateway")
  const { behind, live, stalled } = broadcast.stats()
  const away = behind + stalled
  const { millis } = broadcast.maxLag()
  return millis <= Duration.toMillis(SLOW_AFTER)
    ? ok("events", `${live} of ${live + away} connections have everything`)
    : warning(
        "events",
        `${away} of ${live + away} connections are behind, the farthest by ${Duration.format(Duration.millis(millis))}`,
        "look for slow clients among the connections"
      )
}

const ofCapacity = (count: number, most: number): Finding =>
  count >= most * NEARLY_FULL
    ? warning(
        "connections",
        `${count} of at most ${most} are open (STRATIX_MAX_CONNECTIONS)`,
        "raise it, with the limit on open files, or add a gateway"
      )
    : ok("connections", `${count} of at most ${most} are open`)

/** What this process finds, but for what is counted over all of them. */
const here = Effect.gen(function* () {
  const given = yield* StatusSyncConfig.StatusSyncConfig
  const { open } = yield* Authenticator.Authenticator
  const connections = yield* Connections.Connections
  const isGuest = Option.isNone(yield* Effect.serviceOption(NodeServer.NodeServer))
  const now = yield* Clock.currentTimeMillis
  return [
    ...((yield* connections.accepting)
      ? []
      : [
          warning("connections", "the gateway is going away, and accepts none", "nothing: clients come back elsewhere")
        ]),
    ofFanout(yield* Broadcast.Broadcast),
    ofLog(yield* EventLog.EventLog, Redacted.value(given.eventLog)),
    ...(isGuest ? asGuest(given, open) : onItsOwn(given, open, now)),
    ...Files.secrets(given),
    ...Files.limit(given)
  ]
})

type Services =
  | StatusSyncConfig.StatusSyncConfig
  | Authenticator.Authenticator
  | Connections.Connections
  | Broadcast.Broadcast
  | EventLog.EventLog

const QUESTION = "diagnostics"

const RANK = { problem: 0, warning: 1, ok: 2 } as const

/** All findings of the gateway, in the order in which they are worth reading: where it has workers, what they find together. */
export const make: Effect.Effect<Effect.Effect<ReadonlyArray<Finding>, never, Services>, never, Services> = Effect.gen(
  function* () {
    const worker = yield* Primary.Primary
    const { maxConnections } = yield* StatusSyncConfig.StatusSyncConfig
    const { count } = yield* Connections.Connections
    const runFork = Runtime.runFork(yield* Effect.runtime<Services>())
    worker?.reports.on(QUESTION, (_args, reply) => {
      runFork(Effect.map(here, (findings) => reply([Workers.encode({ worker: worker.number, findings })])))
    })
    const found =
      worker === undefined
        ? here
        : Effect.map(worker.reports.ask(QUESTION), (answers) =>
            Workers.merged(answers.map(Workers.decode), worker.count)
          )
    return Effect.map(Effect.all([found, count], { concurrency: 2 }), ([findings, connected]) =>
      [...findings, ofCapacity(connected, maxConnections)].sort((one, other) => RANK[one.level] - RANK[other.level])
    )
  }
)
