/** What an author adds, in a browser: event types of their own, and sessions by cookie. */
import { readFile } from "node:fs/promises"
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Alarm, Zone } from "../../../examples/events.js"
import { layer as authenticator, makeSessions, type Session, Sessions } from "../../../examples/own-authenticator.js"
import { bundle } from "../../project/bundle.js"
import { describeWith } from "../../support/shared-layer.js"
import * as Chromium from "../support/Chromium.js"
import { startGateway, tab } from "../support/screens.js"

const http = (url: string) => url.replace("ws:", "http:")

describeWith(Chromium.layer, 90_000)("in Chromium, what is the author's own", (test) => {
  test("examples/events-page.ts: a declared event, in process and over HTTP, for those who were there and late joiners", () =>
    Effect.gen(function* () {
      const gateway = yield* startGateway({ events: [Zone, Alarm] })
      const { code, inputs } = yield* Effect.promise(async () =>
        bundle(await readFile("examples/events-page.ts", "utf8"))
      )
      assert.deepStrictEqual(
        inputs.filter((path) => path.includes("node_modules") || path.includes("StatusEvent")),
        []
      )
      const shows = Effect.flatMap(tab, (page) =>
        Effect.as(page.runs(code.replace("ws://127.0.0.1:3001/", gateway.url)), page)
      )
      const over = (method: string, path: string, body?: object) =>
        Effect.promise(async () => {
          const headers = { "content-type": "application/json" }
          const answer = await fetch(`${http(gateway.url)}api/stratix/${path}`, {
            method,
            ...(body !== undefined && { headers, body: JSON.stringify(body) })
          })
          return answer.status
        })

      yield* gateway.sync.publish(Zone, { zoneId: "z1", load: 0.25 })
      const page = yield* shows
      yield* page.reads("z1: 0.25")
      yield* gateway.sync.publish(Zone, { zoneId: "z1", load: 0.5 })
      yield* page.reads("newest: z1, 0.5")
      yield* page.reads("z1: 0.5")
      const event = { eventType: Zone.eventType, payload: { zoneId: "z2", load: 0.75 } }
      assert.strictEqual(yield* over("POST", "events", event), 202)
      yield* page.reads("newest: z2, 0.75")
      yield* page.reads("z2: 0.75")
      yield* page.reads("zones: 2")
      const late = yield* shows
      yield* late.reads("z1: 0.5")
      yield* late.reads("z2: 0.75")
      assert.strictEqual(yield* over("DELETE", `events/${Zone.eventType}?key=z1`), 202)
      for (const each of [page, late]) yield* each.reads("zones: 1")
    }))

  test("the session cookie that a page of another origin makes the browser send lets it in nowhere", () =>
    Effect.gen(function* () {
      const ada: Session = { id: "ada", permissions: new Set(["subscribe", "publish"]) }
      const { service } = yield* makeSessions(new Map([["adas-secret", ada]]))
      const host = "status.site.example"
      const start = (allowedOrigins: ReadonlyArray<string>) =>
        startGateway(
          { allowedHosts: [host], allowedOrigins },
          Layer.provide(authenticator, Layer.succeed(Sessions, service))
        )
      const page = yield* tab
      const originOf = (name: string) => Effect.map(page.visits(`${name}.site.example`), () => page.origin())
      const evil = yield* originOf("evil")
      const app = yield* originOf("app")
      const gateway = yield* start([app])
      yield* gateway.says("busy")
      /** What a page that the browser has loaded from somewhere can do on a gateway. */
      const tries = (port: number) => `
        const tell = (text) => document.body.append(Object.assign(document.createElement("p"), { textContent: text }))
        const socket = new WebSocket("ws://${host}:${port}/?snapshot=true")
        socket.onmessage = ({ data }) => data.includes("busy") && tell("WebSocket: let in")
        socket.onerror = () => tell("WebSocket: refused")
        const events = new EventSource("http://${host}:${port}/api/stratix/stream", { withCredentials: true })
        events.onerror = () => { events.close(); tell("stream: refused") }
        const body = JSON.stringify({ eventType: "stratix:agent_status_update", payload: { agentId: "from-" + location.hostname, status: "error" } })
        fetch("http://${host}:${port}/api/stratix/events", { method: "POST", mode: "no-cors", credentials: "include", body })
          .then(() => tell("POST: sent"))
      `
      // The application's own page has the cookie, and is let in.
      yield* page.runs(`document.cookie = "session=adas-secret; path=/; domain=site.example; SameSite=Strict"`)
      yield* page.runs(tries(gateway.port))
      yield* page.reads("WebSocket: let in")
      yield* page.reads("POST: sent")

      // A page of the same site: the browser sends the cookie, whatever its SameSite says.
      yield* page.visits("evil.site.example")
      yield* page.runs(tries(gateway.port))
      yield* page.reads("WebSocket: refused")
      yield* page.reads("stream: refused")
      yield* page.reads("POST: sent")
      const { entries } = yield* gateway.latest
      assert.deepStrictEqual(
        entries.map(({ agentId }) => agentId),
        ["agent-001"]
      )

      // The cookie was there: where the operator has listed the origin, it is enough.
      const open = yield* start([evil])
      yield* open.says("busy")
      yield* page.visits("evil.site.example")
      yield* page.runs(tries(open.port))
      yield* page.reads("WebSocket: let in")
    }))
})
