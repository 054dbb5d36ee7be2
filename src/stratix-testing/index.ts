/**
 * `stratix-status-sync/testing`: the service in virtual time, scripted clients, and what any log and any transport must do.
 *
 * @since 0.1.0
 */
export * as StatusSyncTest from "./StatusSyncTest.js"
export { type EventLogSuiteOptions, eventLogSuite } from "./suites/eventLogSuite.js"
export type { Runner } from "./suites/runner.js"
export { transportSuite } from "./suites/transportSuite.js"
export * as TestClients from "./TestClients.js"
export * as TestClientsWs from "./TestClientsWs.js"
export * as TransportMemory from "./TransportMemory.js"
