import { readFile } from "node:fs/promises"
import { schemasWithoutId } from "@asyncapi/specs"
import { assert, describe, it } from "@effect/vitest"
import { Ajv } from "ajv"
import { Effect, Either, Schema, TestClock } from "effect"
import { StatusSync, StatusSyncConfig } from "stratix-status-sync"
import * as Protocol from "stratix-status-sync/protocol"
import { StatusSyncTest, TestClients } from "stratix-status-sync/testing"
import { asyncApi } from "../../scripts/lib/asyncapi.mjs"

const read = (name: string) => readFile(new URL(`../../${name}`, import.meta.url), "utf8")
const text = await read("docs/asyncapi.json")
const page = await read("docs/PROTOCOL.md")

/** The document, as its readers know it: JSON. */
const document = JSON.parse(text)
const schemas: { readonly [name: string]: object } = document.components.schemas

const ajv = new Ajv({ strict: false, allErrors: true })
ajv.addSchema({ $id: "asyncapi.json", ...document })

type Mode = "plain" | "sync"
const messagesIn = (channel: Mode): ReadonlyArray<string> => Object.keys(document.channels[channel].messages)
const accepts = (name: string, value: unknown): boolean =>
  ajv.validate({ $ref: `asyncapi.json#/components/messages/${name}/payload` }, value)

const fromClient = new Set(["subscribe", "ping"])
/** The messages of the gateway in a mode that a text is one of, by the document. An event that is known is no other one. */
const namesOf = (mode: Mode, frame: string): ReadonlyArray<string> => {
  const names = messagesIn(mode).filter((name) => !fromClient.has(name) && accepts(name, JSON.parse(frame)))
  return names.length > 1 ? names.filter((name) => !name.startsWith("other")) : names
}

describe("docs/asyncapi.json", () => {
  it("is what the Schemas and the protocol page say", async () => {
    const { version } = JSON.parse(await read("package.json"))
    const current = asyncApi({ protocol: Protocol, page, version, port: StatusSyncConfig.knobs.port.default })
    assert.isTrue(
      text === `${JSON.stringify(current, null, 2)}\n`,
      "docs/asyncapi.json is out of date: run `npm run docs` and commit it"
    )
  })

  it("is an AsyncAPI 3.0 document, all of whose references lead somewhere", () => {
    const validate = new Ajv({ strict: false, validateFormats: false }).compile(Object(schemasWithoutId["3.0.0"]))
    assert.isTrue(validate(document), JSON.stringify(validate.errors, null, 2))
    const refs = [...text.matchAll(/"\$ref": "#\/([^"]+)"/g)].map(([, path]) => path ?? "")
    assert.isNotEmpty(refs)
    for (const path of refs) {
      const found = path.split("/").reduce<unknown>((inner, name) => Object(inner)[name], document)
      assert.isDefined(found, path)
    }
  })

  it("has every message of the protocol, with an example", () => {
    const types = new Set<string>()
    for (const [name, { examples }] of Object.entries<{
      examples?: ReadonlyArray<{ payload: { eventType?: string; type?: string } }>
    }>(document.components.messages)) {
      assert.isNotEmpty(examples, name)
      for (const { payload } of examples ?? []) {
        assert.isTrue(accepts(name, payload), name)
        types.add(payload.eventType ?? payload.type ?? "")
      }
    }
    const known = Object.values<unknown>(Protocol).filter(
      (value): value is string => typeof value === "string" && /^stratix:./.test(value)
    )
    assert.includeMembers([...types], [...known, ...fromClient])
  })

  it("bounds ids and event types as the Schemas do", () => {
    const cases: ReadonlyArray<readonly [string, Schema.Schema<string>]> = [
      ["AgentId", Protocol.AgentId],
      ["CommandId", Protocol.CommandId],
      ["RequestId", Protocol.RequestId],
      ["Name", Protocol.AgentCreatePayload.fields.name],
      ["Name", Protocol.AgentCreatePayload.fields.type],
      ["EventType", Protocol.EventType],
      ["Offset", Protocol.Offset]
    ]
    const id = "x".repeat(Protocol.MAX_ID_LENGTH)
    const type = `stratix:${id}`.slice(0, Protocol.MAX_ID_LENGTH)
    const values = [
      "",
      "x",
      id,
      `${id}x`,
      "stratix:",
      "stratix:x",
      "stratix:x y",
      "Stratix:x",
      type,
      `${type}x`,
      ...Protocol.CONTROL_TYPES
    ]
    for (const [name, schema] of cases) {
      assert.property(schemas, name)
      for (const value of values) {
        const decoded = Schema.decodeUnknownEither(schema)(value)
        const accepted = ajv.validate({ $ref: `asyncapi.json#/components/schemas/${name}` }, value)
        assert.strictEqual(accepted, Either.isRight(decoded), `${name} ${JSON.stringify(value)}`)
      }
    }
  })

  it.scoped("a gateway sends only what it says, and all of it", () =>
    Effect.gen(function* () {
      const { broadcastUnknown, notifyAgentCreate, notifyAgentRemove, notifyAgentStatus, notifyCommandStatus } =
        yield* StatusSync.StatusSync
      const story = Effect.all([
        notifyAgentCreate("agent-001", "Ada", "writer"),
        notifyAgentStatus("agent-001", "busy"),
        notifyCommandStatus("cmd-001", "agent-001", "running", 40),
        notifyCommandStatus("cmd-001", "agent-001", "failed", undefined, { files: [] }, "no space left on device"),
        notifyAgentRemove("agent-001", { commands: true }),
        broadcastUnknown({
          eventType: Protocol.KEY_REMOVE,
          payload: { eventType: "stratix:zone_update", key: "z1" }
        }),
        broadcastUnknown({ eventType: "stratix:maintenance", payload: { from: "22:00" } })
      ])
      yield* story
      const plain = yield* TestClients.connect({ query: "snapshot=true" })
      const sync = yield* TestClients.connect({ protocols: [Protocol.SYNC_PROTOCOL] })
      yield* story
      yield* StatusSyncTest.settled
      for (const client of [plain, sync]) {
        yield* client.send({ type: "subscribe", agents: ["agent-001"] })
        yield* client.send({ type: "ping" })
        yield* client.sendText("nothing that is known")
      }
      yield* TestClock.adjust("30 seconds")
      yield* StatusSyncTest.settled
      for (const [mode, client] of [
        ["plain", plain],
        ["sync", sync]
      ] as const) {
        const told = new Set<string>()
        for (const frame of yield* client.raw) {
          const names = namesOf(mode, frame)
          assert.strictEqual(names.length, 1, `${mode}: ${frame} is ${names.join()}`)
          for (const name of names) told.add(name)
        }
        const silent = messagesIn(mode).filter((name) => !fromClient.has(name) && !told.has(name))
        // Only a drain says it.
        assert.deepStrictEqual(silent, mode === "sync" ? ["closing"] : [])
      }
    }).pipe(Effect.provide(StatusSyncTest.layer))
  )
})
