import { provideStatus, useAgent, useCommands } from "stratix-status-sync/vue"
import { createApp, createSSRApp, defineComponent, h } from "vue"
import { App } from "../../../examples/hooks-vue.js"
import { rendered } from "./Page.js"

const Agent = defineComponent({
  props: { id: { type: String, required: true } },
  setup: (props) => {
    const agent = useAgent(() => props.id)
    return () => h("p", rendered(props.id, agent.value?.status))
  }
})
const Commands = defineComponent({
  setup: () => {
    const commands = useCommands(() => ({ agentId: "a" }))
    return () => h("p", rendered("commands", commands.value.length))
  }
})
const Counted = defineComponent({
  props: { url: { type: String, required: true } },
  setup: ({ url }) => {
    provideStatus({ url })
    return () => [h(Agent, { id: "a" }), h(Agent, { id: "b" }), h(Commands)]
  }
})

globalThis.page = {
  hydrate: (target, url) => {
    createSSRApp(App, { url }).mount(target)
  },
  count: (target, url) => {
    createApp(Counted, { url }).mount(target)
  }
}
