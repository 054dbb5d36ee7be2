/**
 * An authenticator of your own: people by session cookie, programs by API key, both in a store that other processes change (docs/seams.md).
 */
import { fileURLToPath } from "node:url"
import { Cookies } from "@effect/platform"
import { NodeRuntime } from "@effect/platform-node"
import { Context, type DateTime, Effect, Layer, Option, Queue, Redacted, Schema, Stream } from "effect"
import { Authenticator, Filter, StatusSyncServer, Visibility } from "stratix-status-sync"

/** A session or an API key, as your store has it. */
export interface Session {
  /** Not the secret: it appears in logs. */
  readonly id: string
  /** Fixed: what may do something else is another session. */
  readonly permissions: ReadonlySet<Authenticator.Permission>
  /** The agents that it sees; all if absent. */
  readonly agents?: ReadonlyArray<string>
  readonly expiresAt?: DateTime.Utc
}

/** What a session is from now on; `None`: it has ended. */
export interface Change {
  readonly id: string
  readonly session: Option.Option<Session>
}

/** Your store: a database that notifies, or a cache that publishes. */
export class Sessions extends Context.Tag("example/Sessions")<
  Sessions,
  {
    readonly find: (secret: string) => Effect.Effect<Option.Option<Session>, SessionsAway>
    /** Told once `find` answers by it. That time is over is not a change: the gateway closes what has expired. */
    readonly changes: Stream.Stream<Change>
  }
>() {}

/** The store does not answer. */
export class SessionsAway extends Schema.TaggedError<SessionsAway>()("SessionsAway", {}) {}

const unauthenticated = (reason: Authenticator.Unauthenticated["reason"], message: string) =>
  new Authenticator.Unauthenticated({ reason, message })

/** A program sends its key as a bearer token, a browser its cookie by itself. */
const secretOf = ({ headers, token }: Authenticator.Credentials): string | undefined =>
  token === undefined ? Cookies.parseHeader(String(headers["cookie"] ?? ""))["session"] : Redacted.value(token)

const visible = ({ agents }: Session) => (agents === undefined ? Filter.all : Filter.fromFields({ agents }))

const make = Effect.gen(function* () {
  const { changes, find } = yield* Sessions
  /** What each session may see. Bound: the sessions that were used and have not ended. */
  const live = new Map<string, Visibility.Changeable>()
  /** For each question to the store, what has changed since it was asked: the answer may be older. */
  const asking = new Set<Map<string, Option.Option<Session>>>()

  const apply = ({ id, session }: Change) => {
    for (const changed of asking) changed.set(id, session)
    const visibility = live.get(id)
    if (visibility === undefined) return Effect.void
    return Option.match(session, {
      onNone: () => Effect.sync(() => live.delete(id)),
      onSome: (now) => visibility.set(visible(now))
    })
  }

  const admit = (session: Session): Authenticator.Principal => {
    const visibility = live.get(session.id) ?? Visibility.make(visible(session))
    live.set(session.id, visibility)
    return {
      name: session.id,
      permissions: session.permissions,
      visible: Filter.all,
      visibility,
      issuedAt: undefined,
      expiresAt: session.expiresAt
    }
  }

  const verify: Authenticator.TokenVerifier["verify"] = (credentials) => {
    const secret = secretOf(credentials)
    if (secret === undefined) return unauthenticated("Missing", "sign in first, or send an API key")
    const changed = new Map<string, Option.Option<Session>>()
    return Effect.sync(() => asking.add(changed)).pipe(
      Effect.zipRight(find(secret)),
      Effect.mapError(() => unauthenticated("Unavailable", "sessions cannot be read at the moment")),
      Effect.map(Option.flatMap((session) => changed.get(session.id) ?? Option.some(session))),
      Effect.flatMap(
        Option.match({
          onNone: () => unauthenticated("Invalid", "there is no such session or key"),
          onSome: (session) => Effect.sync(() => admit(session))
        })
      ),
      Effect.ensuring(Effect.sync(() => asking.delete(changed)))
    )
  }

  return yield* Authenticator.make({
    verifiers: [
      {
        verify,
        // With each change the gateway asks of every connection whether it may stay, and closes it with 4401 where not.
        changes: Stream.mapEffect(changes, (change) => Effect.asVoid(apply(change))),
        isStillValid: ({ name }) => live.has(name)
      }
    ]
  })
})

/** The authenticator, on any store. */
export const layer: Layer.Layer<Authenticator.Authenticator, never, Sessions> = Layer.scoped(
  Authenticator.Authenticator,
  make
)

/** A gateway with it. */
export const gateway = (port: number) => Layer.provide(StatusSyncServer.layer({ port }), layer)

/** In place of your store: one in memory, by secret. */
export const makeSessions = (sessions: Map<string, Session>) =>
  Effect.gen(function* () {
    const changes = yield* Queue.unbounded<Change>()
    const tell = (id: string, session: Option.Option<Session>) => Queue.offer(changes, { id, session })
    return {
      service: Sessions.of({
        find: (secret) => Effect.sync(() => Option.fromNullable(sessions.get(secret))),
        changes: Stream.fromQueue(changes)
      }),
      put: (secret: string, session: Session) => {
        sessions.set(secret, session)
        return tell(session.id, Option.some(session))
      },
      end: (secret: string) => {
        const id = sessions.get(secret)?.id
        sessions.delete(secret)
        return id === undefined ? Effect.void : tell(id, Option.none())
      }
    }
  })

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const sessions = makeSessions(
    new Map<string, Session>([
      ["a-long-random-text", { id: "ada", permissions: new Set(["subscribe"]), agents: ["scout"] }],
      ["another-random-text", { id: "key-1", permissions: new Set(["publish"]) }]
    ])
  )
  const store = Layer.effect(
    Sessions,
    Effect.map(sessions, ({ service }) => service)
  )
  NodeRuntime.runMain(Layer.launch(Layer.provide(gateway(3001), store)))
}
