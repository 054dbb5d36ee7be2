/** What a server renders of each example. */
import { createElement } from "react"
import { renderToString as renderReact } from "react-dom/server"
import { createSSRApp } from "vue"
import { renderToString as renderVue } from "vue/server-renderer"
import { App as ReactApp } from "../../../examples/hooks-react.js"
import { App as VueApp } from "../../../examples/hooks-vue.js"
import { svelteOnServer } from "./bundle.js"

export const renderOnServer: { readonly [framework: string]: (url: string) => Promise<string> } = {
  react: async (url) => renderReact(createElement(ReactApp, { url })),
  vue: (url) => renderVue(createSSRApp(VueApp, { url })),
  svelte: svelteOnServer
}
