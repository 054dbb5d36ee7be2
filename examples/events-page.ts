/** A page that shows events of your own (docs/events.md): it knows their types, and loads no Schema. */
import { connect } from "stratix-status-sync/client"
import type { StatusEvent } from "stratix-status-sync/protocol"
import type * as Events from "./events.js"

const Zone: StatusEvent.Reference<typeof Events.Zone> = { eventType: "stratix:zone_update" }

/** Shows a text, in an element of its own. */
const show = (id: string, lines: ReadonlyArray<string>) => {
  const element = document.getElementById(id) ?? document.body.appendChild(document.createElement("ul"))
  element.id = id
  const items = lines.map((line) => {
    const item = document.createElement("li")
    item.textContent = line
    return item
  })
  element.replaceChildren(...items)
}

const client = connect("ws://127.0.0.1:3001/")
client.on(Zone, ({ load, zoneId }) => show("newest", [`newest: ${zoneId}, ${load}`]))
client.onState(() => {
  const zones = client.state.of(Zone)
  show("zones", [`zones: ${zones.size}`, ...[...zones].map(([key, { payload }]) => `${key}: ${payload.load}`)])
})
