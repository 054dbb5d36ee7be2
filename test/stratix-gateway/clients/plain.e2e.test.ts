import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { createRequire } from "node:module"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Connections, StatusSync } from "../../../src/stratix-gateway/index.js"
import { gateway, url } from "../../stratix-cli/support/cli.js"

const example = fileURLToPath(new URL("../../../examples/plain_client.py", import.meta.url))
const wscat = createRequire(import.meta.url).resolve("wscat/bin/wscat")

/** Lines of a program's standard output, one after the other. */
const started = (command: string, args: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child: ChildProcess = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"] })
      const lines = child.stdout === null ? undefined : createInterface({ input: child.stdout })[Symbol.asyncIterator]()
      const said: Array<string> = []
      child.stderr?.on("data", (piece) => said.push(String(piece)))
      return {
        /** The next line that is a message. */
        message: Effect.promise(async (): Promise<Record<string, unknown>> => {
          for (;;) {
            const next = await lines?.next()
            if (next === undefined || next.done === true) throw new Error(`it ended: ${said.join("")}`)
            const start = next.value.indexOf("{")
            if (start !== -1) return JSON.parse(next.value.slice(start))
          }
        }),
        errors: () => said.join(""),
        child,
        ended: once(child, "close")
      }
    }),
    ({ child, ended }) =>
      Effect.promise(async () => {
        child.kill("SIGKILL")
        await ended
      })
  )

for (const [name, command, args] of [
  ["Python's standard library", "python3", [example]],
  ["wscat", process.execPath, [wscat, "--no-color", "-c"]]
] as const) {
  describe(`a plain client: ${name}`, () => {
    it.scopedLive("is welcomed, and told every event as one message of four fields", () =>
      Effect.gen(function* () {
        const sync = yield* StatusSync.StatusSync
        const client = yield* started(command, [...args, yield* url])
        assert.strictEqual((yield* client.message)["eventType"], "stratix:connected")
        yield* Effect.forEach(["a1", "a2", "a3"], (agentId) => sync.notifyAgentStatus(agentId, "busy"))
        yield* sync.notifyCommandStatus("c1", "a1", "running", 40)
        // All three forms of a frame's length: this one has more than 65,535 bytes.
        yield* sync.broadcastUnknown({ eventType: "stratix:note", payload: { text: "é".repeat(40_000) } })
        for (const payload of [
          { agentId: "a1", status: "busy" },
          { agentId: "a2", status: "busy" },
          { agentId: "a3", status: "busy" },
          { commandId: "c1", agentId: "a1", commandStatus: "running", progress: 40 },
          { text: "é".repeat(40_000) }
        ]) {
          const message = yield* client.message
          assert.deepStrictEqual(Object.keys(message), ["eventType", "payload", "timestamp", "requestId"])
          assert.deepStrictEqual(message["payload"], payload)
        }
      }).pipe(Effect.provide(gateway()))
    )
  })
}

describe("a plain client: Python's standard library", () => {
  it.scopedLive("answers pings, and is told why it is closed", () =>
    Effect.gen(function* () {
      const connections = yield* Connections.Connections
      const client = yield* started("python3", [example, yield* url])
      yield* client.message
      yield* Effect.sleep("10 millis").pipe(
        Effect.repeat({
          until: () => Effect.map(connections.all, ([only]) => (only?.roundTripMillis ?? -1) >= 0)
        })
      )
      const [only] = yield* connections.all
      only?.end(4000, "enough")
      assert.strictEqual((yield* Effect.promise(() => client.ended))[0], 0)
      assert.include(client.errors(), "closed: 4000 enough")
    }).pipe(Effect.provide(gateway({ heartbeatInterval: "100 millis", heartbeatTimeout: "20 seconds" })))
  )

  it.scopedLive("is told what is wrong where it is refused", () =>
    Effect.gen(function* () {
      const client = yield* started("python3", [example, `${yield* url}?events=${"x".repeat(5000)}`])
      assert.strictEqual((yield* Effect.promise(() => client.ended))[0], 1)
      assert.match(client.errors(), /^refused: HTTP\/1\.1 4\d\d /)
    }).pipe(Effect.provide(gateway()))
  )
})
