/**
 * What both ends agree on: the Schemas of events and messages. Browser-safe.
 *
 * @since 0.1.0
 */
export * from "./event-types.js"
export * from "./events.js"
export * from "./messages.js"
