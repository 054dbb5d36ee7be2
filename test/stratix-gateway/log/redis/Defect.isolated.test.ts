import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { vi } from "vitest"
import { recorded } from "../../support/gateway.js"
import { eventually, newNamespace, openLog, patient } from "../../support/redisLogs.js"

// As a package manager leaves it whose links are not followed.
vi.mock("@redis/client", () => ({ createClient: undefined, ErrorReply: undefined }))

describe("a log in Redis whose client is broken", () => {
  it.live("says why it is not there yet, and tries again", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      yield* Effect.forkScoped(openLog("redis://127.0.0.1:1", newNamespace(), patient, recorded(lines)))
      yield* eventually(
        Effect.sync(() => lines.join("\n")),
        (text) => text !== ""
      )
      assert.lengthOf(lines, 1)
      assert.match(lines[0] ?? "", /cannot be used yet, and is tried again: .*createClient is not a function/)
    }).pipe(Effect.scoped)
  )
})
