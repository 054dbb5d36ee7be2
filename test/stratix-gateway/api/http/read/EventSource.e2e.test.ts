/** `EventSource` of a real Chromium: what a page without any library sees, and how it comes back by itself. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import * as Chromium from "../../../../stratix-client/support/Chromium.js"
import * as Network from "../../../../stratix-client/support/Network.js"
import { patient, startGateway, tab } from "../../../../stratix-client/support/screens.js"
import { describeWith } from "../../../../support/shared-layer.js"
import { type Program, portOf, startGateway as startProgram } from "../../../support/standAlone.js"

/** Shows the agent's status and how each connection began. */
const page = (port: number) => `
  const modes = []
  let status = "unknown"
  const show = () => { document.body.textContent = "agent-001 " + status + " by " + modes.join() }
  const source = new EventSource("http://127.0.0.1:${port}/api/stratix/stream?events=agent_status_update")
  source.addEventListener("stratix:sync", ({ data }) => {
    const { mode } = JSON.parse(data).payload
    modes.push(mode)
    if (mode === "snapshot") status = "unknown"
    show()
  })
  source.onmessage = ({ data, lastEventId }) => {
    const event = JSON.parse(data)
    if (event.offset !== lastEventId) throw new Error("the id is not the offset")
    status = event.payload.status
    show()
  }
`

const publish = (port: number, status: string) =>
  Effect.promise(() =>
    fetch(`http://127.0.0.1:${port}/api/stratix/agents/agent-001/status`, {
      method: "PUT",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ status })
    })
  ).pipe(Effect.map(({ status }) => assert.strictEqual(status, 202)))

describeWith(Chromium.layer, 90_000)("EventSource in Chromium", (test) => {
  test("is live, and after a cut goes on from its last event by itself", () =>
    Effect.gen(function* () {
      const gateway = yield* startGateway(patient)
      const network = yield* Network.make(gateway.port)
      yield* gateway.says("online")
      const screen = yield* tab
      yield* screen.runs(page(network.port))
      yield* screen.reads("agent-001 online by snapshot")
      yield* gateway.says("busy")
      yield* screen.reads("agent-001 busy by snapshot")
      yield* network.cut
      yield* gateway.says("error")
      yield* screen.reads("agent-001 error by snapshot,resume")
    }))

  test("comes back to a gateway that was killed and started anew, and forgets what that does not know", () =>
    Effect.gen(function* () {
      const programs: Array<Program> = []
      yield* Effect.addFinalizer(() => Effect.sync(() => programs.forEach(({ child }) => child.kill("SIGKILL"))))
      const start = (port: number) =>
        Effect.promise(async () => {
          const program = await startProgram({ STRATIX_PORT: String(port) })
          programs.push(program)
          return { program, port: await portOf(program) }
        })
      const { port, program } = yield* start(0)
      yield* publish(port, "busy")
      const screen = yield* tab
      yield* screen.runs(page(port))
      yield* screen.reads("agent-001 busy by snapshot")
      program.child.kill("SIGKILL")
      yield* Effect.promise(() => program.ended)
      yield* start(port)
      yield* screen.reads("agent-001 unknown by snapshot,snapshot")
      yield* publish(port, "error")
      yield* screen.reads("agent-001 error by snapshot,snapshot")
    }))
})
