import type { EventLog } from "../../src/stratix-gateway/index.js"

/** An event with nothing but what a log asks for. */
export const draft = (rest: Partial<EventLog.Draft> = {}): EventLog.Draft => ({
  tenant: "default",
  eventType: "stratix:x",
  agentId: undefined,
  commandId: undefined,
  key: undefined,
  own: undefined,
  removes: [],
  status: undefined,
  finished: false,
  lease: undefined,
  stamp: { timestamp: 0, requestId: "r" },
  json: "{}",
  ...rest
})
