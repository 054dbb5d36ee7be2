/** The dashboard: connects to the gateway it was loaded from, and shows what it tells. */
import { render } from "preact"
import { connect } from "../stratix-client/StatusClient.js"
import { App } from "./App.js"
import { TokenForm } from "./components/TokenForm.js"
import * as Location from "./Location.js"
import { feedOf } from "./Model.js"
import { languages } from "./strings.js"
import * as Token from "./Token.js"

const root = document.body
const strings = languages[Location.read(location.search, navigator.languages).language]

/** The status of an answer that needs what the WebSocket needs: a browser does not tell why an upgrade was refused. */
const probe = async (token: string | undefined): Promise<number> => {
  const stop = new AbortController()
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
  try {
    const { status } = await fetch("api/stratix/state", { headers, signal: stop.signal })
    return status
  } catch {
    return 0
  } finally {
    stop.abort()
  }
}

const ask = (wasRefused: boolean) =>
  render(
    <TokenForm
      wasRefused={wasRefused}
      strings={strings}
      onToken={(token, isKept) => {
        if (isKept) Token.keep(token)
        void start(token)
      }}
    />,
    root
  )

const start = async (token: string | undefined): Promise<void> => {
  const status = await probe(token)
  if (status === 401 || status === 403) {
    Token.forget()
    ask(token !== undefined)
    return
  }
  // The page lies beside the WebSocket, under whatever prefix a proxy has put them.
  const path = document.querySelector<HTMLMetaElement>("meta[name=stratix-path]")?.content ?? "./"
  const client = connect(new URL(path, location.href), {
    streamUrl: new URL("api/stratix/stream", location.href),
    ...(token !== undefined && { token })
  })
  client.onFreshness((freshness) => {
    if (freshness._tag !== "closed" || freshness.reason !== "unauthorized") return
    Token.forget()
    ask(true)
  })
  render(<App client={client} feed={feedOf(client)} token={token} />, root)
}

void start(Token.initial())
