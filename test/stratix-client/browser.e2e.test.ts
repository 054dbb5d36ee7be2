/** The client in a real Chromium, against a real gateway. */
import { readFile } from "node:fs/promises"
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Types from "../../src/stratix-core/event-types.js"
import * as Authenticator from "../../src/stratix-gateway/auth/Authenticator.js"
import { bundle } from "../project/bundle.js"
import { secretOf, token } from "../stratix-gateway/support/gateway.js"
import { describeWith } from "../support/shared-layer.js"
import * as Chromium from "./support/Chromium.js"
import * as Network from "./support/Network.js"
import { eager, ofType, startGateway, syncs, tab } from "./support/screens.js"

describeWith(Chromium.layer, 90_000)("in Chromium", (test) => {
  test("the client goes live and shows what is published, the moment it is published", () =>
    Effect.gen(function* () {
      const gateway = yield* startGateway()
      yield* gateway.says("online")
      const dashboard = yield* tab
      yield* dashboard.start(gateway.url)
      yield* dashboard.shows({ freshness: "live", status: "online" })
      yield* gateway.says("busy")
      yield* dashboard.shows({ freshness: "live", status: "busy" })
      assert.deepStrictEqual(yield* dashboard.events, [Types.AGENT_STATUS_UPDATE, Types.AGENT_STATUS_UPDATE])
      const [connection, ...more] = dashboard.connections
      assert.deepStrictEqual([connection?.subprotocol, more], [Types.SYNC_PROTOCOL, []])
    }))

  test("examples/dashboard.ts shows every agent by its name, and whether that is the truth", () =>
    Effect.gen(function* () {
      const gateway = yield* startGateway()
      yield* gateway.says("online")
      const { code } = yield* Effect.promise(async () => bundle(await readFile("examples/dashboard.ts", "utf8")))
      const dashboard = yield* tab
      yield* dashboard.runs(code.replace("ws://127.0.0.1:3001/", gateway.url))
      yield* dashboard.reads("live")
      yield* dashboard.reads("agent-001: online")
      yield* gateway.publish({
        eventType: Types.AGENT_CREATE,
        payload: { agentId: "agent-001", name: "<b>Ada</b>", type: "writer" }
      })
      yield* dashboard.reads("<b>Ada</b>: online")
    }))

  test("a bare WebSocket reads plain mode, to the letter", () =>
    Effect.gen(function* () {
      const gateway = yield* startGateway()
      const dashboard = yield* tab
      yield* dashboard.startPlain(gateway.url)
      yield* dashboard.frames(1)
      const events = [
        { eventType: Types.AGENT_STATUS_UPDATE, payload: { agentId: "agent-001", status: "busy" } },
        { eventType: "stratix:note", payload: { text: 'Grüße, 世界 \u{1f600}  "quoted"', nothing: null } }
      ].map((event, i) => ({ ...event, timestamp: 1645521234567 + i, requestId: `request-${i}` }))
      for (const event of events) yield* gateway.publish(event)
      const [welcome, ...rest] = yield* dashboard.frames(3)
      assert.match(
        welcome ?? "",
        /^\{"eventType":"stratix:connected","payload":\{"message":"Connected to Stratix Gateway"\},"timestamp":\d{13},"requestId":"stratix-req-\d{13}(-\d+)?"\}$/
      )
      assert.deepStrictEqual(
        rest,
        events.map((event) => JSON.stringify(event))
      )
    }))

  test("a page of another port of this machine may use the HTTP routes: the browser asks first, and is let", () =>
    Effect.gen(function* () {
      const gateway = yield* startGateway()
      const dashboard = yield* tab
      const routes = gateway.url.replace("ws:", "http:")
      yield* dashboard.runs(`
        const answer = await fetch("${routes}api/stratix/agents/agent-001/status", {
          method: "PUT",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ status: "busy" })
        })
        const { events } = await (await fetch("${routes}api/stratix/state")).json()
        document.body.append(answer.status + " " + events[0].payload.status)
      `)
      yield* dashboard.reads("202 busy")
    }))

  test("a token travels as a subprotocol, with the client and without; a wrong one is not let in", () =>
    Effect.gen(function* () {
      const gateway = yield* startGateway({}, Authenticator.layerTokens([token("dashboard", ["subscribe"])]))
      yield* gateway.says("busy")
      const right = yield* tab
      yield* right.start(gateway.url, { token: secretOf("dashboard") })
      yield* right.shows({ freshness: "live", status: "busy" })
      assert.strictEqual(right.connections[0]?.subprotocol, Types.SYNC_PROTOCOL)

      const plain = yield* tab
      yield* plain.startPlain(`${gateway.url}?snapshot=true`, [
        Types.PLAIN_PROTOCOL,
        Types.BEARER_PROTOCOL_PREFIX + secretOf("dashboard")
      ])
      const frames = yield* plain.frames(2)
      assert.deepStrictEqual(ofType(frames, Types.AGENT_STATUS_UPDATE)[0]?.payload.status, "busy")
      assert.strictEqual(plain.connections[0]?.subprotocol, Types.PLAIN_PROTOCOL)

      const wrong = yield* tab
      yield* wrong.start(gateway.url, { ...eager, token: secretOf("stranger") })
      yield* wrong.shows({ freshness: "connecting", status: undefined })
      // Chromium's words for a 401.
      assert.match(wrong.connections[0]?.failure ?? "", /authentication failed/i)
    }))

  test("offline: says that it is not connected; online again: true by itself, with nothing left out", () =>
    Effect.gen(function* () {
      const gateway = yield* startGateway()
      yield* gateway.says("online")
      const dashboard = yield* tab
      yield* dashboard.start(gateway.url, eager)
      yield* dashboard.shows({ freshness: "live", status: "online" })
      yield* dashboard.setOffline(true)
      yield* gateway.says("busy")
      // The socket is still open as far as the browser is concerned: what finds out is that nobody answers.
      yield* dashboard.shows({ freshness: "reconnecting", status: "online" })
      yield* dashboard.setOffline(false)
      yield* dashboard.shows({ freshness: "live", status: "busy" })
      const last = dashboard.connections.at(-1)
      assert.isDefined(last)
      assert.deepStrictEqual(syncs(last), ["resume"])
    }))

  test("a connection that is cut is resumed: what was missed comes, not all of it again", () =>
    Effect.gen(function* () {
      const gateway = yield* startGateway()
      const network = yield* Network.make(gateway.port)
      yield* gateway.says("online")
      const dashboard = yield* tab
      yield* dashboard.start(`ws://127.0.0.1:${network.port}/`, eager)
      yield* dashboard.shows({ freshness: "live", status: "online" })
      for (const status of ["busy", "error", "offline"] as const) {
        // It cannot come back before it has missed something.
        yield* network.freeze
        yield* network.cut
        yield* gateway.has(0)
        yield* gateway.says(status)
        yield* dashboard.shows({ freshness: "reconnecting" })
        yield* network.thaw
        yield* dashboard.shows({ freshness: "live", status })
        const last = dashboard.connections.at(-1)
        assert.isDefined(last)
        assert.deepStrictEqual(syncs(last), ["resume"])
        assert.strictEqual(ofType(last.received, Types.AGENT_STATUS_UPDATE).length, 1)
      }
      const [first] = dashboard.connections
      assert.isDefined(first)
      assert.deepStrictEqual(syncs(first), ["snapshot"])
    }))

  test("a gateway that restarts with an empty log: what is gone is gone, and what it says is shown", () =>
    Effect.gen(function* () {
      const first = yield* startGateway()
      yield* first.says("busy")
      const dashboard = yield* tab
      yield* dashboard.startHastily(first.url)
      yield* dashboard.shows({ freshness: "live", status: "busy" })
      yield* first.stop
      yield* dashboard.shows({ freshness: "reconnecting", status: "busy" })
      const second = yield* startGateway({ port: first.port })
      yield* dashboard.shows({ freshness: "restarted", status: undefined })
      yield* second.says("online")
      yield* dashboard.shows({ freshness: "live", status: "online" })
      const last = dashboard.connections.at(-1)
      assert.isDefined(last)
      assert.include(last.url, "since=")
      assert.deepStrictEqual(syncs(last), ["snapshot"])
    }))

  test("permessage-deflate: Chromium agrees to it and reads what was compressed", () =>
    Effect.gen(function* () {
      const gateway = yield* startGateway({ compression: true, compressionThreshold: 0 })
      const network = yield* Network.make(gateway.port)
      const dashboard = yield* tab
      yield* dashboard.startPlain(`ws://127.0.0.1:${network.port}/`)
      yield* dashboard.frames(1)
      const before = yield* network.received
      const event = {
        eventType: Types.COMMAND_STATUS_UPDATE,
        payload: {
          commandId: "cmd-001",
          agentId: "agent-001",
          commandStatus: "success",
          result: "all is well, ".repeat(1000)
        },
        timestamp: 1645521234567,
        requestId: "request-1"
      }
      const text = JSON.stringify(event)
      // Twice: without context takeover each message stands for itself.
      yield* gateway.publish(event)
      yield* gateway.publish(event)
      const frames = yield* dashboard.frames(3)
      assert.deepStrictEqual(frames.slice(1), [text, text])
      assert.match(dashboard.connections[0]?.extensions ?? "", /^permessage-deflate\b.*server_no_context_takeover/)
      assert.isBelow((yield* network.received) - before, text.length / 10)
    }))
})
