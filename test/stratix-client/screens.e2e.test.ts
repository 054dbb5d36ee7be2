/** What screens say of themselves in a real Chromium, while the page, the network or the browser is in trouble. The long forms: `npm run screens`. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Types from "../../src/stratix-core/event-types.js"
import { describeWith } from "../support/shared-layer.js"
import { nextTurn } from "../support/waiting.js"
import * as Chromium from "./support/Chromium.js"
import * as Network from "./support/Network.js"
import {
  assertNeverWrong,
  now,
  otherTab,
  outdated,
  patient,
  quick,
  startGateway,
  strict,
  tab
} from "./support/screens.js"

describeWith(Chromium.layer, 90_000)("in Chromium", (test) => {
  test("a tab in the background, its timers throttled, stays live on the connection it has", () =>
    Effect.gen(function* () {
      const gateway = yield* startGateway(patient)
      yield* gateway.says("online")
      const dashboard = yield* tab
      yield* dashboard.start(gateway.url)
      yield* dashboard.shows({ freshness: "live", status: "online" })
      yield* otherTab
      yield* dashboard.shows({ visibility: "hidden" })
      // Longer than the gateway's interval: whoever counts how often a timer ran finds it silent.
      yield* dashboard.timersPause(900, yield* now)
      yield* gateway.says("busy")
      yield* dashboard.shows({ visibility: "hidden", freshness: "live", status: "busy" })
      yield* dashboard.toFront
      yield* dashboard.shows({ visibility: "visible", freshness: "live", status: "busy" })
      assert.strictEqual(dashboard.connections.length, 1)
    }))

  test("a tab in the background whose network dies without a word is not live when it is looked at again", () =>
    Effect.gen(function* () {
      const gateway = yield* startGateway(quick)
      const network = yield* Network.make(gateway.port)
      yield* gateway.says("online")
      const dashboard = yield* tab
      yield* dashboard.start(`ws://127.0.0.1:${network.port}/`, strict)
      yield* dashboard.shows({ freshness: "live", status: "online" })
      yield* otherTab
      yield* dashboard.shows({ visibility: "hidden" })
      yield* dashboard.timersPause(900, yield* now)
      yield* network.freeze
      yield* gateway.has(0)
      yield* outdated
      yield* gateway.says("busy")
      const replacedAt = yield* now
      yield* dashboard.toFront
      yield* dashboard.shows({ visibility: "visible", status: "online" })
      yield* network.thaw
      yield* dashboard.shows({ freshness: "live", status: "busy" })
      assertNeverWrong(yield* dashboard.looks, "online", replacedAt)
    }))

  test("a tab that the browser froze is not live on what it knew, and becomes true again", () =>
    Effect.gen(function* () {
      const gateway = yield* startGateway(quick)
      const network = yield* Network.make(gateway.port)
      yield* gateway.says("online")
      const dashboard = yield* tab
      yield* dashboard.start(`ws://127.0.0.1:${network.port}/`, strict)
      yield* dashboard.shows({ freshness: "live", status: "online" })
      yield* otherTab
      yield* dashboard.shows({ visibility: "hidden" })
      yield* dashboard.setFrozen(true)
      const frozenAt = yield* now
      yield* network.freeze
      yield* gateway.has(0)
      yield* outdated
      yield* gateway.says("busy")
      const replacedAt = yield* now
      yield* dashboard.setFrozen(false)
      yield* dashboard.timersPause(replacedAt - frozenAt, replacedAt)
      yield* dashboard.toFront
      yield* dashboard.shows({ visibility: "visible", status: "online" })
      yield* network.thaw
      yield* dashboard.shows({ freshness: "live", status: "busy" })
      assertNeverWrong(yield* dashboard.looks, "online", replacedAt)
    }))

  test("a gateway that stands still is stale, and live again on the same connection when it goes on", () =>
    Effect.gen(function* () {
      const gateway = yield* startGateway(patient)
      const network = yield* Network.make(gateway.port)
      yield* gateway.says("online")
      const dashboard = yield* tab
      yield* dashboard.start(`ws://127.0.0.1:${network.port}/`, strict)
      yield* dashboard.shows({ freshness: "live", status: "online" })
      yield* network.freeze
      yield* dashboard.shows({ freshness: "stale", status: "online" })
      yield* gateway.says("busy")
      const replacedAt = yield* now
      // What the gateway said before waits in the network.
      yield* outdated
      yield* network.thaw
      yield* dashboard.shows({ freshness: "live", status: "busy" })
      assertNeverWrong(yield* dashboard.looks, "online", replacedAt)
      assert.strictEqual(dashboard.connections.length, 1)
    }))

  test("a page that cannot keep up says that it is behind, and is live when it has caught up", () =>
    Effect.gen(function* () {
      const gateway = yield* startGateway(patient)
      yield* gateway.says("online")
      const dashboard = yield* tab
      yield* dashboard.start(gateway.url, strict)
      yield* dashboard.shows({ freshness: "live", status: "online" })
      // Three seconds of work, in events that are told in messages of their own.
      yield* dashboard.worksFor(50)
      for (let i = 0; i < 60; i++) {
        yield* gateway.says(i % 2 ? "error" : "offline")
        yield* nextTurn
      }
      yield* gateway.says("busy")
      yield* dashboard.shows({ freshness: "live", status: "busy" })
      const looks = yield* dashboard.looks
      assert.include(
        looks.map(({ freshness }) => freshness),
        "behind"
      )
    }))

  test("a browser that was suspended is not live on what it knew, nor on what waited for it", () =>
    Effect.gen(function* () {
      const gateway = yield* startGateway(patient)
      yield* gateway.says("online")
      const dashboard = yield* tab
      yield* dashboard.start(gateway.url, strict)
      yield* dashboard.shows({ freshness: "live", status: "online" })
      const browser = yield* Chromium.Chromium
      yield* browser.suspend
      yield* gateway.says("busy")
      const replacedAt = yield* now
      // What the gateway said before waits for the browser.
      yield* outdated
      yield* browser.resume
      yield* dashboard.shows({ freshness: "live", status: "busy" })
      assertNeverWrong(yield* dashboard.looks, "online", replacedAt)
    }))

  test("a snapshot of many keys leaves the page turns of its own", () =>
    Effect.gen(function* () {
      const gateway = yield* startGateway(patient)
      yield* gateway.publishAll(
        Array.from({ length: 5000 }, (_, i) => ({
          eventType: Types.AGENT_STATUS_UPDATE,
          payload: { agentId: `agent-${i}`, status: "busy" }
        }))
      )
      const dashboard = yield* tab
      yield* dashboard.start(gateway.url)
      yield* dashboard.shows({ freshness: "live", agents: 5000 })
      // It came in some fifteen messages.
      assert.isAbove(yield* dashboard.turnsWhileCatchingUp, 3)
    }))
})
