import { Layer } from "effect"
import { Authenticator, type StatusSyncConfig } from "../../../src/stratix-gateway/index.js"
import { StatusSyncTest } from "../../../src/stratix-testing/index.js"
import { quiet } from "./gateway.js"

type Given = Layer.Layer<Authenticator.Authenticator, Authenticator.AuthenticatorError>

/** The service in virtual time over this authenticator. */
export const over = (authenticator: Given, settings: Partial<StatusSyncConfig.Settings> = {}) =>
  Layer.provideMerge(StatusSyncTest.layerWith(settings, authenticator), quiet)

/** The service in virtual time over these static tokens. */
export const withTokens = (
  tokens: ReadonlyArray<Authenticator.StaticToken>,
  settings: Partial<StatusSyncConfig.Settings> = {}
) => over(Authenticator.layerTokens(tokens), settings)

/** The agents that messages are about. */
export const agentsOf = (messages: ReadonlyArray<{ readonly payload: unknown }>) =>
  messages.flatMap(({ payload }) =>
    typeof payload === "object" && payload !== null && "agentId" in payload ? [payload.agentId] : []
  )
