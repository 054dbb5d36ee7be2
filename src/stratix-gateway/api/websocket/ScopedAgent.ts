/**
 * An agent that is online while a scope lives.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { AgentStatus, Offset } from "../../../stratix-core/stratix-protocol.js"
import type { Extra } from "../../log/EventInput.js"
import type { PublishError } from "../../log/PublishError.js"

/** What a status may come with.
 * @since 0.1.0
 * @category models */
export interface AgentStatusOptions {
  /** How long the status holds without being renewed; then the gateway publishes `offline`. Without it, it holds until the next one. */
  readonly lease?: Duration.DurationInput | undefined
  /** With a lease: when it expires, the commands that the agent is running have failed. */
  readonly endCommands?: boolean | undefined
  /** Why the agent has this status. */
  readonly reason?: string | undefined
  /** Fields of your own beside these. */
  readonly extra?: Extra | undefined
}

/** How an agent lives.
 * @since 0.1.0
 * @category models */
export interface ScopedAgentOptions {
  /** Its first status; `online` by default. */
  readonly status?: AgentStatus | undefined
  /** How long after its last sign the gateway says it is offline; 30 seconds by default. */
  readonly lease?: Duration.DurationInput | undefined
  /** Whether the commands that it is running have failed then. */
  readonly endCommands?: boolean | undefined
}

/** An agent that is online while its scope lives.
 * @since 0.1.0
 * @category models */
export interface ScopedAgent {
  readonly agentId: string
  /** Publishes its status, which holds as long as the scope. */
  readonly report: (
    status: AgentStatus,
    options?: Pick<AgentStatusOptions, "reason" | "extra">
  ) => Effect.Effect<Offset, PublishError>
}

/** What a scoped agent is made of. */
export interface Publishing {
  readonly notifyAgentStatus: (
    agentId: string,
    status: AgentStatus,
    options?: AgentStatusOptions
  ) => Effect.Effect<Offset, PublishError>
  readonly renewLease: (agentId: string) => Effect.Effect<boolean, PublishError>
}

/** Long enough to ride out a busy moment, short enough for an eye on a screen. */
const DEFAULT_LEASE = "30 seconds"

/** Renewals in one lease: two may be late or fail before it expires. */
const RENEWALS = 3

/** Publishes the agent, keeps its lease and publishes `offline` on release. */
export const make = (
  { notifyAgentStatus, renewLease }: Publishing,
  agentId: string,
  { endCommands, lease = DEFAULT_LEASE, status = "online" }: ScopedAgentOptions = {}
): Effect.Effect<ScopedAgent, PublishError, Scope.Scope> =>
  Effect.gen(function* () {
    let current: AgentStatus = status
    let details: Pick<AgentStatusOptions, "reason" | "extra"> = {}
    const restate = Effect.suspend(() => notifyAgentStatus(agentId, current, { lease, endCommands, ...details }))
    yield* Effect.acquireRelease(restate, () => Effect.ignore(notifyAgentStatus(agentId, "offline")))
    yield* Effect.suspend(() => (current === "offline" ? Effect.succeed(true) : renewLease(agentId))).pipe(
      // It was removed, or someone else gave it a status without a lease, or the log is another: it lives all the same.
      Effect.flatMap((renewed) => (renewed ? Effect.void : restate)),
      Effect.catchAll((error) => Effect.logDebug(`the lease of ${agentId} was not renewed: ${error.message}`)),
      Effect.delay(Duration.times(lease, 1 / RENEWALS)),
      Effect.forever,
      Effect.interruptible,
      Effect.forkScoped
    )
    return {
      agentId,
      report: (next, { extra, reason } = {}) =>
        Effect.suspend(() => {
          current = next
          details = { extra, reason }
          return restate
        })
    }
  })
