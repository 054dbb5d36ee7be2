import { mkdtemp, rename, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"

/** A folder that goes with the scope. */
export const folder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "stratix-test-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true }))
)

/** Writes a file as a careful program does it: no reader sees half of it. */
export const replace = (path: string, text: string): Effect.Effect<void> =>
  Effect.promise(async () => {
    await writeFile(`${path}.new`, text)
    await rename(`${path}.new`, path)
  })
