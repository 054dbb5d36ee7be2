/** A dashboard of your own, without any framework: copy it, and replace `draw` and `tell`. */
import { connect } from "stratix-status-sync/client"

const client = connect("ws://127.0.0.1:3001/")
client.onState((keys) => draw(client.state, keys))
client.onFreshness(tell)

const badge = document.createElement("p")
const list = document.createElement("ul")
document.body.append(badge, list)
const lines = new Map<string, HTMLElement>()

/** A line for each agent that changed: its name, where it is known, and its status. As text, not as HTML: a name can be anything. */
function draw({ agentInfos, agents }: typeof client.state, keys: ReadonlySet<string>) {
  for (const key of keys) {
    const id = key.slice(key.indexOf(":") + 1)
    const status = agents.get(id)?.payload.status
    if (key.startsWith("command:")) continue
    if (status === undefined) {
      lines.get(id)?.remove()
      lines.delete(id)
      continue
    }
    const line = lines.get(id) ?? addLine(id)
    line.textContent = `${agentInfos.get(id)?.payload.name ?? id}: ${status}`
  }
}

function addLine(id: string) {
  const line = list.appendChild(document.createElement("li"))
  // The browser lays a line out when it is in sight: of thousands the others cost nothing.
  line.style.contentVisibility = "auto"
  line.style.containIntrinsicSize = "auto 1.2em"
  lines.set(id, line)
  return line
}

/** Whether what is drawn is the truth, and if not, when it was. */
function tell(freshness: typeof client.freshness) {
  if ("since" in freshness) {
    badge.textContent = `${freshness._tag}: as it was at ${new Date(freshness.since).toLocaleTimeString()}`
  } else if (freshness._tag === "behind") badge.textContent = `behind by ${freshness.ms / 1000} s`
  else badge.textContent = freshness._tag
}
