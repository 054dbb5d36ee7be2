/**
 * The publisher as its users see it.
 *
 * @since 0.1.0
 */
import type { EventReference } from "../stratix-core/event-types.js"
import type { AgentStatus, CommandStatus } from "../stratix-core/events.js"
import type { Environment } from "./Environment.js"

/** What keeps events from being published.
 * @since 0.1.0
 * @category models */
export type PublisherProblem =
  /** The gateway cannot be reached, or not in time. It is tried again. */
  | { readonly _tag: "Unreachable"; readonly message: string }
  /** The gateway asks to come later. It is tried again. */
  | { readonly _tag: "Busy"; readonly message: string }
  /** The token is missing, wrong or may not publish. It is tried again, with a new token where `token` is a function. */
  | { readonly _tag: "Denied"; readonly message: string }
  /** What answers is not a gateway. It is tried again. */
  | { readonly _tag: "Strange"; readonly message: string }
  /** An event cannot be published, and was dropped. */
  | { readonly _tag: "Refused"; readonly event: string; readonly message: string }

/** @since 0.1.0
 * @category models */
export interface PublisherOptions {
  /** Where the gateway is: `http://127.0.0.1:3001`. `ws:` and `wss:` are taken as `http:` and `https:`. */
  readonly url: string
  /** Bearer token, or what gives one for each request. */
  readonly token?: string | (() => string | Promise<string>) | undefined
  /** Which of the token's tenants, where it has several. */
  readonly tenant?: string | undefined
  /** How long an agent is believed without a sign of life, in milliseconds; 30 seconds by default. It is renewed three times as often. */
  readonly leaseMs?: number | undefined
  /** The most events that wait while the gateway is away; 10,000 by default. Above it the oldest are dropped and counted. */
  readonly maxPending?: number | undefined
  /** Called with what keeps events from being published. Nothing else tells of it: no method throws or waits for the gateway. */
  readonly onProblem?: ((problem: PublisherProblem) => void) | undefined
  /** For tests. */
  readonly environment?: Environment | undefined
}

/** @since 0.1.0
 * @category models */
export interface AgentOptions {
  /** What to call it. With `type`, the agent is announced as a new one. */
  readonly name?: string | undefined
  readonly type?: string | undefined
  /** Fields of your own beside `name` and `type`. */
  readonly extra?: object | undefined
  /** Its first status; `online` by default. */
  readonly status?: AgentStatus | undefined
  /** In place of the publisher's own. */
  readonly leaseMs?: number | undefined
  /** Whether the commands that it is running have failed when it dies or is closed; `true` by default. */
  readonly endCommands?: boolean | undefined
}

/** @since 0.1.0
 * @category models */
export interface CommandDetails {
  /** In percent. */
  readonly progress?: number | undefined
  /** Any JSON. */
  readonly result?: unknown
  readonly error?: string | undefined
  /** Fields of your own beside these. */
  readonly extra?: object | undefined
}

/** An agent of this process. It is alive on every screen as long as this process is.
 * @since 0.1.0
 * @category models */
export interface PublishedAgent {
  readonly agentId: string
  readonly status: (
    status: AgentStatus,
    details?: { readonly reason?: string | undefined; readonly extra?: object | undefined }
  ) => void
  readonly command: (commandId: string, status: CommandStatus, details?: CommandDetails) => void
  /** It is offline now, and not renewed any more. */
  readonly close: () => void
  /** It leaves every screen, with the commands that it has not finished. */
  readonly remove: () => void
}

/** An event type that a gateway was told of: what `StatusEvent.define` returns, or a reference to it.
 * @since 0.1.0
 * @category models */
export interface DeclaredEvent<T extends string = string, P extends object = object> extends EventReference<T, P> {
  /** Checks a payload and finds its key. */
  readonly read?: (
    payload: unknown
  ) =>
    | { readonly _tag: "Left"; readonly left: unknown }
    | { readonly _tag: "Right"; readonly right: { readonly key: string | undefined; readonly finished: boolean } }
}

/** @since 0.1.0
 * @category models */
export interface Publisher {
  /** An agent that is online from now on. */
  readonly agent: (agentId: string, options?: AgentOptions) => PublishedAgent
  readonly publish: {
    /**
     * Publishes an event of a declared type. With a key it is the newest state of that key: kept while the gateway is away, and said again to one that
     * has forgotten it. What `StatusEvent.define` returns knows the key of each payload; beside a reference it stands in the options, as the gateway
     * finds it.
     */
    <T extends string, P extends object>(
      event: DeclaredEvent<T, P>,
      payload: NoInfer<P>,
      options?: { readonly key?: string | undefined }
    ): void
    /** Publishes an event of another type: it happens, and is the state of nothing. */
    (eventType: string, payload: object): void
  }
  /** Ends a key of a declared type: it leaves every screen. */
  readonly remove: (event: DeclaredEvent, key: string) => void
  /** Events that are not yet published. */
  readonly pending: () => number
  /** Events that were dropped because more than `maxPending` waited. */
  readonly dropped: () => number
  /** Waits until everything is published, or the time is over; answers whether it is. */
  readonly flush: (timeoutMs?: number) => Promise<boolean>
  /** Closes every agent, waits until that is published or the time (5 seconds by default) is over, and stops; answers whether it is. */
  readonly close: (timeoutMs?: number) => Promise<boolean>
}
