/** What tests of screens in a browser share: gateways, clients, and what was shown. */
import { assert } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import { vi } from "vitest"
import * as Types from "../../../src/stratix-core/event-types.js"
import { StatusSync } from "../../../src/stratix-gateway/api/websocket/StatusSync.js"
import * as Authenticator from "../../../src/stratix-gateway/auth/Authenticator.js"
import * as EventLog from "../../../src/stratix-gateway/log/EventLog.js"
import * as StatusSyncServer from "../../../src/stratix-gateway/StatusSyncServer.js"
import { port, quiet } from "../../stratix-gateway/support/gateway.js"
import * as Chromium from "./Chromium.js"
import type { Look } from "./dashboard.js"

// A browser and all it loads: on a busy machine many times as long as on a quiet one.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 })

/** A gateway whose heart beats fast enough for a test to wait for, and slowly enough for a machine that is busy. */
export const quick = {
  heartbeatInterval: "500 millis",
  heartbeatTimeout: "1500 millis",
  keepAliveInterval: "200 millis"
} as const

/** One that waits long for a sign of life: on a busy machine a browser answers late. */
export const patient = { ...quick, heartbeatTimeout: "20 seconds" } as const

/** A client that comes back soon. */
export const eager = { backoffBaseMs: 50, connectTimeoutMs: 1000 }

/** One whose `live` is never older than a moment that a test can wait for. On a busy machine a word of the gateway takes a while. */
export const strict = { ...eager, maxLagMs: 1000, maxSilenceMs: 500 }

/** A gateway as it is deployed, on a free port unless told otherwise. */
export const startGateway = (
  options: StatusSyncServer.Options = {},
  authenticator: Layer.Layer<Authenticator.Authenticator> = Authenticator.layerAllowAll
) =>
  Effect.gen(function* () {
    const own = yield* Effect.acquireRelease(Scope.make(), Scope.close)
    const services = yield* StatusSyncServer.layer({ port: 0, drainTimeout: "1 second", ...options }).pipe(
      Layer.provide(authenticator),
      Layer.provide(quiet),
      Layer.buildWithScope(own),
      Effect.orDie
    )
    const sync = Context.get(services, StatusSync)
    const bound = yield* Effect.provide(port, services)
    return {
      port: bound,
      url: `ws://127.0.0.1:${bound}/`,
      sync,
      latest: Context.get(services, EventLog.EventLog).latest(),
      publish: sync.broadcastUnknown,
      publishAll: sync.broadcastAll,
      says: (status: "online" | "offline" | "busy" | "error") => sync.notifyAgentStatus("agent-001", status),
      /** Waits until so many clients are connected. */
      has: (count: number) =>
        sync.clientCount.pipe(Effect.repeat({ until: (n) => n === count, schedule: Schedule.spaced("10 millis") })),
      stop: Scope.close(own, Exit.void)
    }
  })

export const tab = Effect.flatMap(Chromium.Chromium, (browser) => browser.tab)
export const otherTab = Effect.flatMap(Chromium.Chromium, (browser) => browser.otherTab)

/** The messages of a type among frames. */
export const ofType = (frames: ReadonlyArray<string>, eventType: string) =>
  frames
    .map((text) => JSON.parse(text))
    .flatMap((message) => (message.eventType === Types.EVENTS ? message.payload.events : [message]))
    .filter((message) => message.eventType === eventType)

/** The ways in which a connection was brought up to date. */
export const syncs = ({ received }: Chromium.Connection): ReadonlyArray<unknown> =>
  ofType(received, Types.SYNC).map(({ payload }) => payload.mode)

/** Once a status is replaced, nothing that is shown calls the old one true. */
export const assertNeverWrong = (looks: ReadonlyArray<Look>, old: string, from: number) => {
  const wrong = looks.filter(({ at, freshness, status }) => at >= from && freshness === "live" && status === old)
  assert.deepStrictEqual(wrong, [])
}

export const now = Effect.sync(() => Date.now())

/** Waits until nothing that the gateway has said up to now lets a `strict` client be live any more. */
export const outdated = Effect.gen(function* () {
  const due = (yield* now) + strict.maxLagMs + strict.maxSilenceMs
  yield* Effect.repeat(now, { until: (time) => time > due, schedule: Schedule.spaced("10 millis") })
})
