import { assert, describe, it } from "@effect/vitest"
import { bundle, isServerModule } from "./bundle.js"

describe("stratix-status-sync/protocol in a browser", () => {
  it("takes in no node builtin and no server module", async () => {
    const { asked, inputs } = await bundle('export * from "stratix-status-sync/protocol"')
    assert.include(inputs, "src/stratix-core/stratix-protocol.ts")
    assert.deepStrictEqual(asked, [])
    assert.deepStrictEqual(inputs.filter(isServerModule), [])
    assert.isTrue(
      inputs.filter((path) => path.startsWith("src/")).every((path) => path.startsWith("src/stratix-core/"))
    )
  })

  it("gives somebody who wants only the constants nothing but the constants", async () => {
    const { code, kept } = await bundle(`
      import { AGENT_STATUS_UPDATE, CloseCodes, SYNC_PROTOCOL } from "stratix-status-sync/protocol"
      console.log(AGENT_STATUS_UPDATE, SYNC_PROTOCOL, CloseCodes.GOING_AWAY)
    `)
    assert.sameMembers(
      kept.filter((path) => path !== "<stdin>"),
      ["src/stratix-core/close-codes.ts", "src/stratix-core/event-types.ts"]
    )
    assert.isBelow(code.length, 1024, code)
  })

  it("the same look at the gateway itself finds node builtins and server modules", async () => {
    const { asked, inputs } = await bundle('export * from "stratix-status-sync"')
    assert.isNotEmpty(asked)
    assert.isNotEmpty(inputs.filter(isServerModule))
  })
})
