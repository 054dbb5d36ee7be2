/** Some agents of this page's own, to look at while there are no others: published as any program publishes its agents. */
import { createPublisher } from "../stratix-publisher/Publisher.js"

const cast = [
  ["demo-ada", "Ada", "writer"],
  ["demo-bo", "Bo", "researcher"],
  ["demo-cleo", "Cleo", "coder"],
  ["demo-dan", "Dan", "coder"],
  ["demo-eve", "Eve", "researcher"],
  ["demo-finn", "Finn", "writer"]
] as const

/** Between two words of the demo, in milliseconds: slow enough to follow. */
const EVERY = 700

/** Percent of a command that is done at a time. */
const STEP = 20

/** The demo goes with the page: agents that are not renewed for so long, in milliseconds, are offline. */
const LEASE = 10_000

/** Begins the demo; `onProblem` hears what keeps it from being seen. What is returned ends it, and takes its agents off every screen. */
export const startDemo = (token: string | undefined, onProblem: (message: string) => void): (() => void) => {
  const publisher = createPublisher({
    url: new URL(".", location.href).href,
    token,
    leaseMs: LEASE,
    onProblem: ({ message }) => onProblem(message)
  })
  const actors = cast.map(([id, name, type]) => ({
    agent: publisher.agent(id, { name, type }),
    progress: 0,
    commands: 0
  }))
  let turn = 0
  const play = () => {
    const actor = actors[turn++ % actors.length]
    if (actor === undefined) return
    const { agent } = actor
    if (actor.progress === 0) actor.commands++
    const command = `${agent.agentId}-${actor.commands}`
    actor.progress += STEP
    if (actor.progress <= 100) {
      agent.status("busy")
      agent.command(command, "running", { progress: actor.progress })
      return
    }
    actor.progress = 0
    // Every fifth command fails, so that there is something of each kind to see.
    const hasFailed = (turn + actor.commands) % 5 === 0
    if (hasFailed) agent.command(command, "failed", { error: "the demo lets this one fail" })
    else agent.command(command, "success", { progress: 100, result: { from: "the demo" } })
    agent.status(hasFailed ? "error" : "online")
  }
  const timer = setInterval(play, EVERY)
  return () => {
    clearInterval(timer)
    for (const { agent } of actors) agent.remove()
    void publisher.close()
  }
}
