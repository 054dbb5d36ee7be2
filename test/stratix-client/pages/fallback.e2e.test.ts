/** The client in Chromium behind a proxy that refuses WebSockets. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { beforeAll } from "vitest"
import * as Authenticator from "../../../src/stratix-gateway/auth/Authenticator.js"
import { secretOf, token } from "../../stratix-gateway/support/gateway.js"
import { describeWith } from "../../support/shared-layer.js"
import * as Chromium from "../support/Chromium.js"
import { buildClientModule } from "../support/clientModule.js"
import { startGateway, tab } from "../support/screens.js"
import * as UpgradeProxy from "../support/UpgradeProxy.js"

beforeAll(buildClientModule, 60_000)

/** A page that says what it shows in one line. Minutes pass in seconds: those after which a WebSocket is tried again. */
const pageOf = (port: number, options = "") => `
  import { connect } from "http://127.0.0.1:${port}/client.js"
  const client = connect("ws://127.0.0.1:${port}/", {
    backoffBaseMs: 100,
    environment: {
      setTimer: (task, millis) => {
        const handle = setTimeout(task, millis > 60000 ? millis / 300 : millis)
        return () => clearTimeout(handle)
      }
    },
    ${options}
  })
  const line = document.body.appendChild(document.createElement("p"))
  const draw = () => {
    const status = client.state.agents.get("agent-001")?.payload.status
    line.textContent = [client.freshness._tag, client.transport, status].join(" ")
  }
  client.onState(draw)
  client.onFreshness(draw)
`

describeWith(Chromium.layer, 90_000)("behind a proxy that refuses WebSockets", (test) => {
  test("the client is live by the event stream, resumes after a cut and a killed gateway, and takes WebSockets again", () =>
    Effect.gen(function* () {
      const first = yield* startGateway()
      const proxy = yield* UpgradeProxy.make(first.port)
      yield* first.says("online")
      const page = yield* tab
      yield* page.runs(pageOf(proxy.port))
      yield* page.reads("live event-stream online")
      yield* first.says("busy")
      yield* page.reads("live event-stream busy")

      yield* proxy.cut
      yield* first.says("error")
      yield* page.reads("live event-stream error")
      assert.isTrue(proxy.asked.some((asked) => /^GET \/api\/stratix\/stream\?.*since=/.test(asked)))

      yield* first.stop
      yield* page.reads("reconnecting event-stream error")
      const second = yield* startGateway({ port: first.port })
      yield* second.says("offline")
      yield* page.reads("live event-stream offline")

      yield* proxy.pass
      yield* page.reads("live websocket offline")
      yield* second.says("online")
      yield* page.reads("live websocket online")
    }))

  test("a token travels in the header, and a wrong one is told", () =>
    Effect.gen(function* () {
      const gateway = yield* startGateway({}, Authenticator.layerTokens([token("dashboard", ["subscribe"])]))
      const proxy = yield* UpgradeProxy.make(gateway.port)
      yield* gateway.says("busy")
      const right = yield* tab
      yield* right.runs(pageOf(proxy.port, `token: ${JSON.stringify(secretOf("dashboard"))}`))
      yield* right.reads("live event-stream busy")
      assert.isFalse(proxy.asked.some((asked) => asked.includes(secretOf("dashboard"))))
      const wrong = yield* tab
      yield* wrong.runs(pageOf(proxy.port, `token: ${JSON.stringify(secretOf("stranger"))}`))
      yield* wrong.reads("closed event-stream ")
    }))
})
