/** @jsxImportSource react */
/** A page in React: each line renders again when its own agent changes, and no other. */
import { memo } from "react"
import { StatusProvider, useAgent, useAgents, useCommands, useFreshness } from "stratix-status-sync/react"

const AgentLine = memo(({ id }: { readonly id: string }) => {
  const agent = useAgent(id)
  return (
    <li>
      {agent?.name ?? id}: {agent?.status}
    </li>
  )
})

const Agents = () => {
  const freshness = useFreshness()
  const agents = useAgents()
  const running = useCommands({ status: "running" })
  return (
    <main>
      <p>{freshness._tag}</p>
      <ul>
        {agents.map(({ id }) => (
          <AgentLine key={id} id={id} />
        ))}
      </ul>
      <p>{running.length} running</p>
    </main>
  )
}

export const App = ({ url }: { readonly url: string }) => (
  <StatusProvider url={url}>
    <Agents />
  </StatusProvider>
)
