/** The HTTP routes of the gateway that the page was loaded from. */

const headersOf = (token: string | undefined): Record<string, string> =>
  token === undefined ? {} : { authorization: `Bearer ${token}` }

/** What a refusal says, or the status where it says nothing. */
const messageOf = async (response: Response): Promise<string> => {
  const body: unknown = await response.json().catch(() => undefined)
  return typeof body === "object" && body !== null && "message" in body
    ? String(body.message)
    : `${response.status} ${response.statusText}`
}

/** An answer, or an error that says what the gateway said. */
const ask = async (token: string | undefined, path: string, init: RequestInit = {}): Promise<Response> => {
  const headers = { ...headersOf(token), ...Object.fromEntries(new Headers(init.headers)) }
  const response = await fetch(path, { ...init, headers })
  if (!response.ok) throw new Error(await messageOf(response))
  return response
}

/** One connection, as the gateway reports it. */
export interface Connection {
  readonly id: string
  readonly address: string
  readonly principal: string
  readonly protocol: string
  readonly state: string
  readonly lagMs: number
  readonly screenLagMs?: number
  readonly roundTripMs?: number
  readonly ageMs: number
  readonly filter: Readonly<Record<string, ReadonlyArray<string>>>
}

/** Every connection; operators only. */
export const connections = async (token: string | undefined): Promise<ReadonlyArray<Connection>> =>
  (await (await ask(token, "api/stratix/connections")).json()).connections

/** Ends a connection; its client comes back. */
export const disconnect = async (token: string | undefined, id: string): Promise<void> => {
  await ask(token, `api/stratix/connections/${encodeURIComponent(id)}`, { method: "DELETE" })
}

/** What the gateway's history has of an agent's commands. */
export interface History {
  /** The oldest event that is still there; absent where there is none. */
  readonly begins?: { readonly timestamp: number }
  /** In the order of the log. */
  readonly events: ReadonlyArray<unknown>
  /** Older ones are there, and were not given. */
  readonly more?: true
}

/** The newest events of an agent's commands that the gateway still has. */
export const history = async (token: string | undefined, agentId: string, limit: number): Promise<History> => {
  const query = new URLSearchParams({ events: "stratix:command_status_update", limit: String(limit) })
  return (await ask(token, `api/stratix/history?${query}&agents=${encodeURIComponent(agentId)}`)).json()
}

/** Something that the gateway finds wrong with itself, or worth a look. */
export interface Finding {
  readonly level: "ok" | "warning" | "problem"
  readonly about: string
  readonly what: string
  readonly instead?: string
}

/** What the gateway finds about itself, the worst first; operators only. */
export const diagnostics = async (token: string | undefined): Promise<ReadonlyArray<Finding>> =>
  (await (await ask(token, "api/stratix/diagnostics")).json()).findings

/** Publishes an event that is the state of nothing; answers its offset. */
export const publishTest = async (token: string | undefined): Promise<string> => {
  const response = await ask(token, "api/stratix/events", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify([{ eventType: "stratix:dashboard_test", payload: { from: "dashboard" } }])
  })
  return (await response.json()).offsets[0]
}

/** The metrics as text; operators only. */
export const metrics = async (token: string | undefined): Promise<string> => (await ask(token, "metrics")).text()
