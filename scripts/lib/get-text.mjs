import { get } from "node:http"
import { text } from "node:stream/consumers"

/** What is at a path of a gateway on this machine. Over a socket of its own: one that is kept for later may lead to a process that was killed.
 * @returns {Promise<string>} */
export const getText = (/** @type {number} */ port, /** @type {string} */ path) =>
  new Promise((resolve, reject) => {
    get({ port, host: "127.0.0.1", path, agent: false }, (response) => resolve(text(response))).on("error", reject)
  })
