/**
 * `stratix-status-sync/internals`: what the service is made of, for transports of your own, load tests and tools that look inside. Any release may
 * change it.
 *
 * @since 0.1.0
 */

export * as Admission from "./admission/Admission.js"
export * as Handshake from "./admission/Handshake.js"
export * as Limits from "./admission/Limits.js"
export * as Connection from "./api/websocket/Connection.js"
export * as Heartbeat from "./api/websocket/Heartbeat.js"
export * as Broadcast from "./fanout/Broadcast.js"
export * as Stamps from "./log/Stamps.js"
export * as Tenant from "./log/Tenant.js"
export * as MetricsCollector from "./operations/MetricsCollector.js"
export * as Metrics from "./telemetry/Metrics.js"
export * as Refusals from "./telemetry/Refusals.js"
export * as Form from "./transport/Form.js"
export * as Refusal from "./transport/Refusal.js"
export * as Transport from "./transport/Transport.js"
export * as TransportWs from "./transport/TransportWs.js"
export * as WebSockets from "./transport/WebSockets.js"
