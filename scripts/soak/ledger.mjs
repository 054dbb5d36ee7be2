/** What was published, by its place in the log, as the publishers were told it: what every client is measured by. */

/** The sequence number in an offset. Opaque to clients; tests of the gateway may look inside. */
export const seqOf = (offset) => Number.parseInt(offset.split("-")[1] ?? "", 36)

export class Ledger {
  /** By sequence number. */
  #entries = []
  #seqs = new Map()
  /** Everything up to here is known. */
  head = 0

  add([offset, requestId, eventType, agentId, commandId, finished]) {
    const seq = seqOf(offset)
    const [, publisher, n] =
      endedKeyOf({ eventType, payload: {} }) === undefined ? requestId.split("-") : ["", "log", seq]
    this.#entries[seq] = { seq, requestId, eventType, agentId, commandId, finished, publisher, n: Number(n) }
    this.#seqs.set(requestId, seq)
    while (this.#entries[this.head + 1] !== undefined) this.head++
  }

  get published() {
    return this.#seqs.size
  }

  at(seq) {
    return this.#entries[seq]
  }

  seq(requestId) {
    return this.#seqs.get(requestId)
  }
}

/** The one that comes to pass here: the log's own. */
const REMOVAL = "stratix:command_remove"

/** The key that an event ends, or `undefined`. */
export const endedKeyOf = ({ eventType, payload }) =>
  eventType === REMOVAL ? `command:${payload.commandId}` : undefined

/** Whether a filter lets an entry through (PROTOCOL.md §2). */
export const admits = (filter, { agentId, commandId, eventType }) =>
  (filter.events === undefined ||
    filter.events.includes(eventType.replace("stratix:", "")) ||
    (eventType === REMOVAL && filter.events.includes("command_status_update"))) &&
  (filter.agents === undefined || filter.agents.includes(agentId)) &&
  (filter.commands === undefined || filter.commands.includes(commandId))

const KEYS = {
  "stratix:agent_status_update": ({ agentId }) => `agent:${agentId}`,
  "stratix:command_status_update": ({ commandId }) => `command:${commandId}`,
  "stratix:agent_create": ({ agentId }) => `agent-info:${agentId}`
}

/** What an event is the newest state of, or `undefined`. */
export const keyOf = ({ eventType, payload }) => KEYS[eventType]?.(payload)
