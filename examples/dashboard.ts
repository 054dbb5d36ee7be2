/** A dashboard of your own, without any framework: copy it, and replace `draw` and `tell`. */
import { connect } from "stratix-status-sync/client"

const client = connect("ws://127.0.0.1:3001/")
client.onState(() => draw(client.state))
client.onFreshness(tell)

const badge = document.createElement("p")
const list = document.createElement("ul")
document.body.append(badge, list)

/** A line for each agent: its name, where it is known, and its status. As text, not as HTML: a name can be anything. */
function draw({ agentInfos, agents }: typeof client.state) {
  const lines = [...agents].map(([id, { payload }]) => {
    const line = document.createElement("li")
    line.textContent = `${agentInfos.get(id)?.payload.name ?? id}: ${payload.status}`
    return line
  })
  list.replaceChildren(...lines)
}

/** Whether what is drawn is the truth, and if not, when it was. */
function tell(freshness: typeof client.freshness) {
  badge.textContent =
    "since" in freshness
      ? `${freshness._tag}: as it was at ${new Date(freshness.since).toLocaleTimeString()}`
      : freshness._tag
}
