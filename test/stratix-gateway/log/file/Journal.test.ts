import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Either, Layer, Redacted } from "effect"
import { StatusSyncServer } from "../../../../src/stratix-gateway/index.js"
import { parse } from "../../../../src/stratix-gateway/log/file/Address.js"
import { problemWith } from "../../../../src/stratix-gateway/log/file/Journal.js"
import { quiet } from "../../support/gateway.js"
import { folder, isSupported, openFile } from "./files.js"

describe("the versions of Node that can have a log in a file", () => {
  it("are 22.13 and newer, except 23.0 to 23.3", () => {
    for (const version of ["22.13.0", "22.23.3", "23.4.0", "23.11.1", "24.0.0", "26.1.0"])
      assert.isUndefined(problemWith(version), version)
    for (const version of ["20.20.2", "21.7.3", "22.12.0", "22.5.1", "23.0.0", "23.3.0"])
      assert.include(problemWith(version) ?? "", `this is Node ${version}: run the gateway on Node 22 or 24`)
  })

  it.live(`Node ${process.versions.node} ${isSupported ? "has one" : "is refused, with what would be right"}`, () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "log.db")
      const opened = yield* Effect.either(Effect.scoped(openFile(path)))
      if (isSupported) return assert.isTrue(Either.isRight(opened))
      assert.include(String(Either.isLeft(opened) && opened.left.message), "needs Node 22.13 or newer")
      const gateway = StatusSyncServer.layerLoopback({ port: 0, eventLog: Redacted.make(`file:${path}`) })
      const refused = yield* Effect.flip(Effect.scoped(Layer.build(Layer.provide(gateway, quiet))))
      assert.include(refused.message, "STRATIX_EVENT_LOG (eventLog): a log in a file needs Node 22.13 or newer")
    }).pipe(Effect.scoped)
  )
})

describe("the URL of a file", () => {
  it("names the file, and what an acknowledged event survives", () => {
    assert.deepStrictEqual(parse("file:log.db"), Either.right({ path: "log.db", durability: "process" }))
    assert.deepStrictEqual(
      parse("file:/var/lib/log.db?durability=disk"),
      Either.right({ path: "/var/lib/log.db", durability: "disk" })
    )
    assert.deepStrictEqual(
      parse("file:///var/lib/a%20log.db?durability=process"),
      Either.right({ path: "/var/lib/a log.db", durability: "process" })
    )
    for (const text of ["file:", "file:log.db?durability=always", "file:log.db?fsync=1", "file://host/log.db"])
      assert.isTrue(Either.isLeft(parse(text)), text)
  })
})
