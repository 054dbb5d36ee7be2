import { Layer } from "effect"
import type { Authenticator, StatusSyncConfig } from "../../../src/stratix-gateway/index.js"
import { StatusSyncTest } from "../../../src/stratix-testing/index.js"
import { quiet } from "./gateway.js"

type Settings = Partial<StatusSyncConfig.Settings>

/** A gateway without a log, in memory and in virtual time. */
export const over = (settings: Settings = {}, authenticator?: Layer.Layer<Authenticator.Authenticator>) =>
  Layer.provideMerge(StatusSyncTest.layerWith(settings, authenticator), quiet)

/** A gateway without a log, over real sockets. */
export const overWs = (settings: Settings = {}, authenticator?: Layer.Layer<Authenticator.Authenticator>) =>
  Layer.provideMerge(StatusSyncTest.layerWs(settings, authenticator), quiet)
