/**
 * `stratix-status-sync/testing`: the service in virtual time, and scripted clients.
 *
 * @since 0.1.0
 */
export * as StatusSyncTest from "./StatusSyncTest.js"
export * as TestClients from "./TestClients.js"
export * as TestClientsWs from "./TestClientsWs.js"
export * as TransportMemory from "./TransportMemory.js"
