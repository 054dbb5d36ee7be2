import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer, Schema } from "effect"
import {
  Authenticator,
  EventLog,
  EventLogMemory,
  NodeServer,
  StatusEvent,
  StatusSync,
  StatusSyncConfig,
  StatusSyncServer,
  StatusSyncService
} from "stratix-status-sync"
import { StatusSyncTest } from "stratix-status-sync/testing"

const Zone = StatusEvent.define("stratix:zone_update", { schema: Schema.Struct({ zoneId: Schema.String }) })

/** A log that is known by its name, which says what it was given. */
const log = Layer.effect(
  EventLog.EventLog,
  Effect.map(EventLog.EventLog, (memory) => EventLog.EventLog.of({ ...memory, id: "own" }))
).pipe(Layer.provide(EventLogMemory.layer))

const parts = { events: [Zone], log }
const settings = StatusSyncConfig.layer({ port: 0 })
const environment = Layer.setConfigProvider(
  ConfigProvider.fromMap(
    new Map([
      ["STRATIX_PORT", "0"],
      ["STRATIX_DRAIN_TIMEOUT", "0 millis"]
    ])
  )
)

type Gateway = Layer.Layer<StatusSync.StatusSync | EventLog.EventLog, unknown>

const readyMade: { readonly [name: string]: Gateway } = {
  "StatusSyncServer.layer": Layer.provide(StatusSyncServer.layer({ port: 0, ...parts }), Authenticator.layerAllowAll),
  "StatusSyncServer.layerConfigWith": StatusSyncServer.layerConfigWith(parts).pipe(
    Layer.provide(Authenticator.layerAllowAll),
    Layer.provide(environment)
  ),
  "StatusSyncServer.layerLoopback": StatusSyncServer.layerLoopback({ port: 0, ...parts }),
  "StatusSyncServer.layerStandAloneWith": Layer.provide(StatusSyncServer.layerStandAloneWith(parts), environment),
  "StatusSyncServer.layerOn": StatusSyncServer.layerOn(NodeServer.layer, parts).pipe(
    Layer.provide(Authenticator.layerAllowAll),
    Layer.provide(settings)
  ),
  "StatusSyncServer.layerMountedWith": StatusSyncServer.layerMountedWith(parts).pipe(
    Layer.provide(NodeServer.layer),
    Layer.provide(Authenticator.layerAllowAll),
    Layer.provide(settings)
  ),
  "StatusSyncService.layer": Layer.provide(StatusSyncService.layer(parts), Authenticator.layerAllowAll),
  "StatusSyncService.layerConfigWith": Layer.provide(
    StatusSyncService.layerConfigWith(parts),
    Authenticator.layerAllowAll
  ),
  "StatusSyncTest.layerWith": StatusSyncTest.layerWith(parts),
  "StatusSyncTest.layerWs": StatusSyncTest.layerWs(parts)
}

describe("a log and event types of your own", () => {
  it("there is no ready-made layer that does not take them", () => {
    const taking = (module: object) => Object.keys(module).filter((name) => name.startsWith("layer"))
    const found = [
      ...taking(StatusSyncServer).map((name) => `StatusSyncServer.${name}`),
      ...taking(StatusSyncService).map((name) => `StatusSyncService.${name}`),
      ...taking(StatusSyncTest).map((name) => `StatusSyncTest.${name}`)
    ]
    // A layer that takes no options has one of its name that does; the core takes what it is provided with.
    const without = found.filter((name) => !(name in readyMade || `${name}With` in readyMade || name.endsWith("Core")))
    assert.deepStrictEqual(without, [])
  })

  for (const [name, layer] of Object.entries(readyMade)) {
    it.scoped(`${name} takes them`, () =>
      Effect.gen(function* () {
        assert.strictEqual((yield* EventLog.EventLog).id, "own")
        yield* (yield* StatusSync.StatusSync).publish(Zone, { zoneId: "z1" })
      }).pipe(Effect.provide(layer))
    )
  }
})
