/** A page in Vue: each line renders again when its own agent changes, and no other. */
import { provideStatus, useAgent, useAgents, useCommands, useFreshness } from "stratix-status-sync/vue"
import { defineComponent, h } from "vue"

const AgentLine = defineComponent({
  props: { id: { type: String, required: true } },
  setup: (props) => {
    const agent = useAgent(() => props.id)
    return () => h("li", `${agent.value?.name ?? props.id}: ${agent.value?.status}`)
  }
})

const Agents = defineComponent({
  setup: () => {
    const freshness = useFreshness()
    const agents = useAgents()
    const running = useCommands({ status: "running" })
    return () =>
      h("main", [
        h("p", freshness.value._tag),
        h(
          "ul",
          agents.value.map(({ id }) => h(AgentLine, { key: id, id }))
        ),
        h("p", `${running.value.length} running`)
      ])
  }
})

export const App = defineComponent({
  props: { url: { type: String, required: true } },
  setup: ({ url }) => {
    provideStatus({ url })
    return () => h(Agents)
  }
})
