/** Each attack that was once seen to hurt: what it does, and what the others and the gateway's memory may feel of it. */
import { publisherAttacks } from "./publishers.mjs"
import { requestAttacks } from "./requests.mjs"
import { webSocketAttacks } from "./websockets.mjs"

/**
 * `memory` is what the process may hold above idle, in MB, `kept` what of it may be no garbage; `p99` and `max` are the bystanders' latencies, in ms. `fails` says what else is wrong with how
 * it ended. `alone` says that it publishes, or needs what is published, so that a soak has no use for it. Where nothing is said, the bounds of `../attack.mjs`.
 *
 * @typedef {object} Attack
 * @property {string} name
 * @property {(port: any, random: ReturnType<typeof import("../lib/seeded.mjs").seeded>) => Promise<{ readonly did: string, readonly ended?: string, readonly fails?: boolean }>} run
 * @property {number} [keys]
 * @property {ReadonlyArray<unknown>} [tokens]
 * @property {number} [memory]
 * @property {number} [kept]
 * @property {number} [p99]
 * @property {number} [max]
 * @property {number} [stretch]
 * @property {boolean} [alone]
 * @property {number} [descriptors]
 * @property {{ readonly shell?: string, readonly unshare?: boolean, readonly node?: string, readonly execArgv?: ReadonlyArray<string>, readonly traces?: string }} [gateway]
 */

/** @type {ReadonlyArray<Attack>} */
export const attacks = [...webSocketAttacks, ...requestAttacks, ...publisherAttacks]
