/**
 * A gateway of two tenants: their agents in this process, their people by the session cookies of your application (docs/tenants.md).
 */
import { fileURLToPath } from "node:url"
import { Cookies } from "@effect/platform"
import { NodeRuntime } from "@effect/platform-node"
import { Effect, Exit, Layer } from "effect"
import { Authenticator, Filter, StatusSync, StatusSyncServer, Visibility } from "stratix-status-sync"

/** A session of your application. `team` is what its user may see, and can be set while a dashboard is open. */
export interface Session {
  readonly user: string
  readonly tenants: ReadonlySet<string>
  readonly team: Visibility.Changeable
}

/** Your store of sessions, by the value of their cookie. */
export const sessions = new Map<string, Session>([
  ["a-long-random-text", { user: "ada", tenants: new Set(["acme"]), team: Visibility.make(Filter.all) }],
  ["another-random-text", { user: "grace", tenants: new Set(["acme", "globex"]), team: Visibility.make(Filter.all) }]
])

const verify: Authenticator.TokenVerifier["verify"] = ({ headers }) => {
  const { session: id = "" } = Cookies.parseHeader(String(headers["cookie"] ?? ""))
  const session = sessions.get(id)
  if (session === undefined) {
    return Exit.fail(new Authenticator.Unauthenticated({ reason: "Missing", message: "sign in first" }))
  }
  return Exit.succeed({
    name: session.user,
    permissions: new Set(["subscribe"] as const),
    tenants: session.tenants,
    visible: Filter.all,
    visibility: session.team,
    issuedAt: undefined,
    expiresAt: undefined
  })
}

/** Its dashboards show this agent alone from now on. */
export const narrow = (session: Session) => session.team.set(Filter.fromFields({ agents: ["scout"] }))

const authenticator = Layer.scoped(Authenticator.Authenticator, Authenticator.make({ verifiers: [{ verify }] }))

/** What an agent does. It knows of no tenant: it publishes for the one that its `StatusSync` is of. */
const scout = Effect.gen(function* () {
  const sync = yield* StatusSync.StatusSync
  yield* sync.notifyAgentCreate("scout", "Scout", "researcher")
  const agent = yield* sync.agent("scout")
  yield* agent.report("busy")
  yield* sync.notifyCommandStatus("cmd-1", "scout", "running", 0)
})

const agentsOf = (tenant: string) =>
  Layer.scopedDiscard(
    Effect.flatMap(StatusSync.StatusSync, (sync) =>
      Effect.provideService(scout, StatusSync.StatusSync, sync.forTenant(tenant))
    )
  )

/** Both tenants on one gateway. */
export const gateway = (port: number) =>
  Layer.mergeAll(agentsOf("acme"), agentsOf("globex")).pipe(
    Layer.provideMerge(StatusSyncServer.layer({ port })),
    Layer.provide(authenticator)
  )

if (process.argv[1] === fileURLToPath(import.meta.url)) NodeRuntime.runMain(Layer.launch(gateway(3001)))
