/**
 * `stratix-status-sync`: the gateway.
 *
 * @since 0.1.0
 */

export * as Admission from "./admission/Admission.js"
export * as Handshake from "./admission/Handshake.js"
export * as Limits from "./admission/Limits.js"
export * as GatewayHttp from "./api/http/GatewayHttp.js"
export * as StratixApi from "./api/http/StratixApi.js"
export * as Connection from "./api/websocket/Connection.js"
export * as Connections from "./api/websocket/Connections.js"
export * as Heartbeat from "./api/websocket/Heartbeat.js"
export * as StatusSync from "./api/websocket/StatusSync.js"
export * as Authenticator from "./auth/Authenticator.js"
export * as StatusSyncConfig from "./config/StatusSyncConfig.js"
export * as Broadcast from "./fanout/Broadcast.js"
export * as EventLog from "./log/EventLog.js"
export * as EventLogMemory from "./log/EventLogMemory.js"
export * as Filter from "./log/Filter.js"
export * as Stamps from "./log/Stamps.js"
export * as MetricsCollector from "./operations/MetricsCollector.js"
export * as StatusSyncServer from "./StatusSyncServer.js"
export * as Logging from "./telemetry/Logging.js"
export * as Metrics from "./telemetry/Metrics.js"
export * as Refusals from "./telemetry/Refusals.js"
export * as NodeServer from "./transport/NodeServer.js"
export * as Refusal from "./transport/Refusal.js"
export * as Transport from "./transport/Transport.js"
export * as TransportWs from "./transport/TransportWs.js"
