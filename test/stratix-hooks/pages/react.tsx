/** @jsxImportSource react */
import { createRoot, hydrateRoot } from "react-dom/client"
import { StatusProvider, useAgent, useCommands } from "stratix-status-sync/react"
import { App } from "../../../examples/hooks-react.js"
import { rendered } from "./Page.js"

const Agent = ({ id }: { readonly id: string }) => <p>{rendered(id, useAgent(id)?.status)}</p>
const Commands = () => <p>{rendered("commands", useCommands({ agentId: "a" }).length)}</p>

globalThis.page = {
  hydrate: (target, url) => {
    hydrateRoot(target, <App url={url} />)
  },
  count: (target, url) =>
    createRoot(target).render(
      <StatusProvider url={url}>
        <Agent id="a" />
        <Agent id="b" />
        <Commands />
      </StatusProvider>
    )
}
