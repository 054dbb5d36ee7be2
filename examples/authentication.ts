/** A gateway on the network, which takes the tokens of a file (docs/SECURITY.md). */
import { NodeRuntime } from "@effect/platform-node"
import { Layer } from "effect"
import { Authenticator, StatusSyncServer } from "stratix-status-sync"

const gateway = StatusSyncServer.layer({ host: "0.0.0.0" }).pipe(
  Layer.provide(Authenticator.layerTokensFile("tokens.json"))
)

NodeRuntime.runMain(Layer.launch(gateway))
