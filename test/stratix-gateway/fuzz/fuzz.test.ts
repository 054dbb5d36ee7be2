import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { fuzzMemory } from "../../../scripts/fuzz/memory.mjs"
import { Outcome } from "../../../scripts/fuzz/outcome.mjs"
import { fuzzSockets } from "../../../scripts/fuzz/sockets.mjs"

/** `npm run fuzz` is the same with other seeds and other counts. */
const SEED = 20220222

describe("whatever is sent to the gateway, it refuses by the protocol, keeps nothing, and serves the others", () => {
  it.live(
    "messages, query strings and headers",
    () =>
      Effect.gen(function* () {
        const outcome = new Outcome()
        yield* fuzzMemory(outcome, 5000, SEED)
        assert.deepStrictEqual(outcome.broken, [])
        assert.isAtLeast(outcome.total, 5000)
      }),
    60_000
  )

  it.live(
    "frames, request heads and HTTP bodies on real sockets",
    () =>
      Effect.gen(function* () {
        const outcome = new Outcome()
        yield* fuzzSockets(outcome, 1500, SEED)
        assert.deepStrictEqual(outcome.broken, [])
        assert.isAtLeast(outcome.total, 1500)
      }),
    60_000
  )
})
