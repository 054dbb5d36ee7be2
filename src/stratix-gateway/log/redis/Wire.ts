/**
 * How events go to the append script.
 */
import type { Draft } from "../EventLog.js"
import { flagsOf, headerOf } from "../mirror/Packed.js"

/** What the script is given of an event. */
export const argumentsOf = (draft: Draft): ReadonlyArray<string> => [
  headerOf(draft),
  draft.json,
  draft.key ?? "",
  draft.removes.length === 0 ? "" : JSON.stringify(draft.removes),
  String(flagsOf(draft)),
  String(draft.json.length),
  draft.agentId ?? "",
  draft.commandId ?? "",
  draft.lease === undefined ? "" : String(draft.lease.millis)
]
