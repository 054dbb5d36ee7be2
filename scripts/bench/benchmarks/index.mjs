import { deflate } from "./deflate.mjs"
import { fanout } from "./fanout.mjs"
import { filters } from "./filters.mjs"
import { frozen } from "./frozen.mjs"
import { growth } from "./growth/index.mjs"
import { heartbeat } from "./heartbeat.mjs"
import { hosts } from "./hosts.mjs"
import { idle } from "./idle.mjs"
import { joiners } from "./joiners.mjs"
import { log } from "./log.mjs"
import { metrics } from "./metrics.mjs"
import { protocols } from "./protocols.mjs"
import { reconnect } from "./reconnect.mjs"
import { workers } from "./workers.mjs"

/**
 * Each is `{ title, about, peers, measure }`; `measure(peer, scale, round)` resolves to figures by name.
 * A name says what and in which unit; the same name in two peers is the same figure. `rounds`: how many are enough.
 */
export const benchmarks = {
  fanout,
  idle,
  hosts,
  deflate,
  frozen,
  heartbeat,
  filters,
  reconnect,
  joiners,
  metrics,
  protocols,
  workers,
  log,
  ...growth
}
