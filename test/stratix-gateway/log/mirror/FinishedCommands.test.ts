import { assert, describe, it } from "@effect/vitest"
import { FinishedCommands } from "../../../../src/stratix-gateway/log/mirror/FinishedCommands.js"

describe("finished commands", () => {
  it("are told oldest first, those aside that were superseded", () => {
    const commands = new FinishedCommands<{ name: number; superseded: number }>()
    assert.isUndefined(commands.oldest())
    const all = [0, 1, 2].map((name) => ({ name, superseded: 0 }))
    for (const command of all) commands.add(command)
    assert.strictEqual(commands.live, 3)
    assert.strictEqual(commands.oldest(), all[0])
    assert.strictEqual(commands.oldest(), all[0])
    for (const i of [1, 0]) Object.assign(all[i] ?? {}, { superseded: 1 })
    assert.strictEqual(commands.oldest(), all[2])
  })

  it("hold no more superseded ones than others and a slack", () => {
    const commands = new FinishedCommands<{ superseded: number }>()
    const kept = { superseded: 0 }
    let longest = 0
    for (let i = 0; i < 1000; i++) {
      const command = { superseded: 0 }
      commands.add(command)
      command.superseded = 1
      commands.oldest()
      longest = Math.max(longest, commands["commands"].length)
    }
    // Cut off so rarely that each costs the same, however many there are.
    assert.strictEqual(longest, 128)
    commands.add(kept)
    assert.strictEqual(commands.oldest(), kept)
    // The front moves with what was cut off.
    const next = { superseded: 0 }
    commands.add(next)
    kept.superseded = 1
    assert.strictEqual(commands.oldest(), next)
  })
})
