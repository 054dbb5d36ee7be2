/**
 * `stratix-status-sync`: the gateway.
 *
 * @since 0.1.0
 */
export * as GatewayHttp from "./api/http/GatewayHttp.js"
export * as NodeServer from "./api/http/NodeServer.js"
export * as StratixApi from "./api/http/StratixApi.js"
export * as Authenticator from "./api/websocket/Authenticator.js"
export * as Broadcast from "./api/websocket/Broadcast.js"
export * as Connection from "./api/websocket/Connection.js"
export * as Connections from "./api/websocket/Connections.js"
export * as EventLog from "./api/websocket/EventLog.js"
export * as Filter from "./api/websocket/Filter.js"
export * as Handshake from "./api/websocket/Handshake.js"
export * as Heartbeat from "./api/websocket/Heartbeat.js"
export * as Limits from "./api/websocket/Limits.js"
export * as Refusals from "./api/websocket/Refusals.js"
export * as Stamp from "./api/websocket/Stamp.js"
export * as StatusSync from "./api/websocket/StatusSync.js"
export * as Transport from "./api/websocket/Transport.js"
export * as TransportWs from "./api/websocket/TransportWs.js"
export * as Collector from "./Collector.js"
export * as Logging from "./Logging.js"
export * as Metrics from "./Metrics.js"
export * as StatusSyncConfig from "./StatusSyncConfig.js"
export * as StatusSyncServer from "./StatusSyncServer.js"
