/** Logs in files of their own. */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe } from "@effect/vitest"
import { Context, Effect, Layer, type Scope } from "effect"
import { EventLog, EventLogFile, StatusSyncConfig } from "../../../../src/stratix-gateway/index.js"
import { problemWith } from "../../../../src/stratix-gateway/log/file/Journal.js"
import { quiet } from "../../support/gateway.js"
import type { Log } from "../../support/redisLogs.js"

/** Whether this Node can have a log in a file. */
export const isSupported = problemWith(process.versions.node) === undefined

/** Tests that need one: on another Node they are counted as skipped, and Journal.test.ts shows what is said there. */
export const describeFile = (name: string, tests: () => void): void => {
  describe.skipIf(!isSupported)(isSupported ? name : `${name} (not on Node ${process.versions.node})`, tests)
}

/** Milliseconds for a test that starts programs, on a machine that does much else. */
export const PATIENCE = 300_000

/** A folder that is gone at the end. */
export const folder: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "stratix-file-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
)

/** An append may take as long as the machine takes it. */
const patient = { eventLogTimeout: "30 seconds" } as const

/** The log in a file, until the scope closes. */
export const openFile = (
  path: string,
  settings: Partial<StatusSyncConfig.Settings> = {},
  options: Partial<EventLogFile.Options> = {},
  logger: Layer.Layer<never> = quiet
): Effect.Effect<Log, EventLog.EventLogStartError | StatusSyncConfig.ConfigInvalid, Scope.Scope> =>
  EventLogFile.layer({ path, ...options }).pipe(
    Layer.provide(StatusSyncConfig.layer({ ...patient, ...settings })),
    Layer.provide(logger),
    Layer.build,
    Effect.map((context) => Context.get(context, EventLog.EventLog))
  )
