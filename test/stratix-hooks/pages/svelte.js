import { hydrate, mount } from "svelte"
import App from "../../../examples/HooksSvelte.svelte"
import Counted from "./Counted.svelte"

globalThis.page = {
  hydrate: (target, url) => hydrate(App, { target, props: { url } }),
  count: (target, url) => mount(Counted, { target, props: { url } })
}
