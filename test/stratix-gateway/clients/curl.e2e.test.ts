import { execFile } from "node:child_process"
import { describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { StatusSync } from "../../../src/stratix-gateway/index.js"
import { untilCount } from "../../support/waiting.js"
import { port } from "../support/gateway.js"
import { overWs } from "../support/gateways.js"

describe("curl -N", () => {
  it.scopedLive("shows each event as it happens", () =>
    Effect.gen(function* () {
      const sync = yield* StatusSync.StatusSync
      const url = `http://127.0.0.1:${yield* port}/api/stratix/stream?events=agent_status_update`
      const curl = yield* Effect.acquireRelease(
        Effect.sync(() => execFile("curl", ["-sN", url])),
        (child) => Effect.sync(() => child.kill("SIGKILL"))
      )
      let shown = ""
      let changed = () => {}
      curl.stdout?.on("data", (text: string) => {
        shown += text
        changed()
      })
      const shows = (text: string) =>
        Effect.async<void>((resume) => {
          changed = () => {
            if (shown.includes(text)) resume(Effect.void)
          }
          changed()
        })
      yield* shows("event: stratix:sync\n")
      for (const status of ["busy", "online"] as const) {
        const offset = yield* sync.notifyAgentStatus("a", status)
        yield* shows(
          `id: ${offset}\ndata: {"eventType":"stratix:agent_status_update","payload":{"agentId":"a","status":"${status}"}`
        )
      }
      curl.kill("SIGKILL")
      yield* untilCount(0)
    }).pipe(Effect.provide(overWs()))
  )
})
