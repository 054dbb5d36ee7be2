import * as Fs from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Either, Schema } from "effect"
import { ClientMessage, ServerMessage, SyncMode } from "../../src/stratix-core/index.js"
import * as Protocol from "../../src/stratix-core/stratix-protocol.js"

const page = Fs.readFileSync(new URL("../../docs/PROTOCOL.md", import.meta.url), "utf8")
const blocks = [...page.matchAll(/```json( client)?\n(.+?)\n```/gs)].map(([, client, text]) => ({
  schema: client === undefined ? ServerMessage : ClientMessage,
  text: text ?? ""
}))

describe("docs/PROTOCOL.md", () => {
  it("has an example of every message, and each one decodes", () => {
    const types = new Set<string>()
    for (const { schema, text } of blocks) {
      const { offset, ...message } = JSON.parse(text)
      assert.isTrue(offset === undefined || typeof offset === "string")
      const decoded = Schema.decodeUnknownEither<ServerMessage | ClientMessage, unknown>(schema as never)(message, {
        onExcessProperty: "error"
      })
      assert.isTrue(Either.isRight(decoded), text)
      types.add(message.eventType ?? message.type)
      if (message.payload?.mode !== undefined) types.add(message.payload.mode)
      // The page shows messages as they stand on the wire.
      assert.strictEqual(JSON.stringify(JSON.parse(text)), text)
    }
    const known = Object.values<unknown>(Protocol).filter(
      (value) => typeof value === "string" && /^stratix:./.test(value)
    )
    for (const type of [...known.map(String), "subscribe", "ping", ...SyncMode.literals]) {
      assert.isTrue(types.has(type), `docs/PROTOCOL.md has no example of ${type}`)
    }
  })
})
