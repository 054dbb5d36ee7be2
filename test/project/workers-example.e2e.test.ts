import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { bundlePrograms } from "../../scripts/lib/bundle-program.mjs"
import { folder } from "../stratix-gateway/support/files.js"
import { eventually } from "../stratix-gateway/support/redisLogs.js"
import { portOf, startProgram } from "../stratix-gateway/support/standAlone.js"

/** Milliseconds for tests that start programs, on a machine that does much else. */
const PATIENCE = 180_000

describe("examples/workers.ts", () => {
  it.live(
    "serves from four processes, of which each has what the others publish, and ends with them",
    () =>
      Effect.gen(function* () {
        const place = yield* folder
        yield* Effect.promise(async () => {
          await bundlePrograms({ workers: "../examples/workers.ts" }, place)
          await writeFile(join(place, "package.json"), '{ "type": "module" }')
        })
        const program = yield* Effect.acquireRelease(
          Effect.sync(() => startProgram(process.execPath, [join(place, "workers.js")], { STRATIX_PORT: "0" })),
          ({ child, ended }) =>
            Effect.promise(() => {
              child.kill("SIGKILL")
              return ended
            })
        )
        const port = yield* Effect.promise(() => portOf(program))
        const state = Effect.promise(async () => {
          const answer = await fetch(`http://127.0.0.1:${port}/api/stratix/state?events=agent_status_update`, {
            headers: { connection: "close" }
          })
          const { events } = await answer.json()
          return events.map(({ payload }: { payload: { agentId: string; status: string } }) => payload.status)
        })
        assert.deepStrictEqual(yield* eventually(state, ({ length }) => length >= 4), Array(4).fill("online"))
        program.child.kill("SIGTERM")
        assert.notStrictEqual((yield* Effect.promise(() => program.ended)).signal, "SIGKILL")
      }).pipe(Effect.scoped),
    PATIENCE
  )
})
