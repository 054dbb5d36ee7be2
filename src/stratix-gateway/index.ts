/**
 * `stratix-status-sync`: what the author of a gateway needs. What these parts are made of is `stratix-status-sync/internals`.
 *
 * @since 0.1.0
 */

export * as StatusEvent from "../stratix-core/StatusEvent.js"
export * as GatewayHttp from "./api/http/GatewayHttp.js"
export * as StratixApi from "./api/http/StratixApi.js"
export * as Connections from "./api/websocket/Connections.js"
export * as StatusSync from "./api/websocket/StatusSync.js"
export * as Authenticator from "./auth/Authenticator.js"
export * as Visibility from "./auth/Visibility.js"
export * as StatusSyncConfig from "./config/StatusSyncConfig.js"
export * as DeclaredEvents from "./log/DeclaredEvents.js"
export * as EventLog from "./log/EventLog.js"
export * as EventLogMemory from "./log/EventLogMemory.js"
export * as Filter from "./log/Filter.js"
export * as EventLogFile from "./log/file/EventLogFile.js"
export type { Revocation, Revocations } from "./log/Revocations.js"
export * as EventLogRedis from "./log/redis/EventLogRedis.js"
export * as StatusSyncHttpServer from "./StatusSyncHttpServer.js"
export * as StatusSyncRoutes from "./StatusSyncRoutes.js"
export * as StatusSyncServer from "./StatusSyncServer.js"
export * as StatusSyncService from "./StatusSyncService.js"
export * as StatusSyncWorkers from "./StatusSyncWorkers.js"
export * as Logging from "./telemetry/Logging.js"
export * as NodeServer from "./transport/NodeServer.js"
