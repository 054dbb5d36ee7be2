/**
 * `stratix-status-sync/protocol`: what both ends agree on; safe in a browser.
 *
 * @since 0.1.0
 */
export * as CloseCodes from "./close-codes.js"
export * as StatusEvent from "./StatusEvent.js"
export * from "./stratix-protocol.js"
