import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { crc32 } from "node:zlib"
import { assert, it } from "@effect/vitest"
import { Effect, Queue } from "effect"
import { EventLogFile } from "../../../../src/stratix-gateway/index.js"
import { pack } from "../../../../src/stratix-gateway/log/mirror/Packed.js"
import { agent, commandOf, type Draft, note, removal } from "../../../../src/stratix-testing/suites/drafts.js"
import { recorded } from "../../support/gateway.js"
import { Reader, stateOf } from "../../support/redisLogs.js"
import { describeFile, folder, openFile } from "./files.js"

const EPOCH = "0123456789abcdef"

/** A file as gateways of format 1 wrote it, as SQL: without revocations. */
const writeFormat1 = (path: string, drafts: ReadonlyArray<Draft>) =>
  Effect.promise(async () => {
    const { DatabaseSync } = await import("node:sqlite")
    const database = new DatabaseSync(path)
    database.exec(`PRAGMA journal_mode = WAL; BEGIN;
      CREATE TABLE log (seq INTEGER PRIMARY KEY, packed TEXT NOT NULL, sum INTEGER NOT NULL) STRICT;
      CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL, sum INTEGER NOT NULL) STRICT;
      CREATE TABLE idem (key TEXT PRIMARY KEY, value TEXT NOT NULL, sum INTEGER NOT NULL) STRICT;
      PRAGMA application_id = ${0x53_54_52_58}; PRAGMA user_version = 1; COMMIT`)
    const insert = database.prepare("INSERT INTO log VALUES (?, ?, ?)")
    drafts.forEach((draft, i) => {
      const keyless = drafts
        .slice(0, i + 1)
        .filter(({ key, removes }) => key === undefined && removes.length === 0).length
      const effects = { moved: undefined, removed: draft.removes.length > 0 }
      const packed = pack({ draft, place: { epoch: EPOCH, seq: i + 1, keyless }, now: 1000 + i, effects })
      insert.run(i + 1, packed, crc32(packed))
    })
    const meta = database.prepare("INSERT INTO meta VALUES (?, ?, ?)")
    for (const [name, value] of [
      ["id", "the-log"],
      ["epochs", JSON.stringify([{ epoch: EPOCH, start: 0 }])]
    ] as const)
      meta.run(name, value, crc32(value))
    const key = JSON.stringify(["once", Date.now(), `${EPOCH}-4-1`])
    database.prepare("INSERT INTO idem VALUES (?, ?, ?)").run("once", key, crc32(key))
    database.close()
  })

const drafts = [agent("a"), agent("gone"), note(1), agent("b"), commandOf("c", "a", 1), removal("gone")]

/** The format in SQLite's header, once everything is in the file itself. */
const formatOf = (path: string) => readFileSync(path).readUInt32BE(60)

describeFile("a file of an older format", () => {
  it.live(
    "is carried over: state, cursors, name and idempotency keys are as they were, and it can have what is new",
    () =>
      Effect.gen(function* () {
        const path = join(yield* folder, "log.db")
        yield* writeFormat1(path, drafts)
        assert.strictEqual(formatOf(path), 1)
        const looked = yield* EventLogFile.inspect(`file:${path}`)
        assert.strictEqual(looked.events, 6)
        assert.strictEqual(formatOf(path), 1)
        const lines: Array<string> = []
        yield* Effect.scoped(
          Effect.gen(function* () {
            const log = yield* openFile(path, {}, {}, recorded(lines))
            assert.isTrue(lines.some((line) => line.includes("had format 1, and was carried over")))
            assert.strictEqual(log.id, "the-log")
            assert.deepStrictEqual([...(yield* stateOf(log)).keys()], ["agent:a", "agent:b", "command:c"])
            const reader = new Reader()
            reader.cursor = `${EPOCH}-4-1`
            yield* reader.read(log)
            assert.deepStrictEqual(reader.modes, ["resume"])
            assert.deepStrictEqual(reader.heard, [commandOf("c", "a", 1).json, removal("gone").json])
            assert.deepStrictEqual(yield* log.append([agent("b")], { idempotencyKey: "once" }), [`${EPOCH}-4-1`])
            yield* log.append([agent("new")])
            yield* log.revocations?.share({ name: "goes", at: 7 }) ?? Effect.void
          })
        )
        assert.strictEqual(formatOf(path), 2)
        const log = yield* openFile(path)
        assert.deepStrictEqual([...(yield* stateOf(log)).keys()], ["agent:a", "agent:b", "command:c", "agent:new"])
        const remembered = yield* Effect.fromNullable(log.revocations)
        assert.deepStrictEqual([...(yield* Queue.takeAll(yield* remembered.subscribe))], [{ name: "goes", at: 7 }])
      }).pipe(Effect.scoped)
  )

  it.live("that is damaged stays what it was", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "log.db")
      yield* writeFormat1(path, drafts)
      const bytes = readFileSync(path)
      const at = bytes.indexOf('{"agent":"b"')
      assert.isAbove(at, 0)
      bytes[at + 10] = "x".charCodeAt(0)
      writeFileSync(path, bytes)
      const { message } = yield* Effect.flip(Effect.scoped(openFile(path)))
      assert.include(message, "is damaged, and nothing of it is used")
      assert.strictEqual(formatOf(path), 1)
    }).pipe(Effect.scoped)
  )
})
