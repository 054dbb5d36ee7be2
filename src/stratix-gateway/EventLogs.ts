/**
 * The log that the settings name.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Primary from "./channel/Primary.js"
import * as StatusSyncConfig from "./config/StatusSyncConfig.js"
import * as EventLogChannel from "./log/channel/EventLogChannel.js"
import type { EventLog, EventLogStartError } from "./log/EventLog.js"
import * as EventLogMemory from "./log/EventLogMemory.js"
import * as EventLogFile from "./log/file/EventLogFile.js"
import * as EventLogRedis from "./log/redis/EventLogRedis.js"

/** In a worker: the log of its gateway, whatever that is. */
export const orThatOfPrimary = <E, R>(
  log: Layer.Layer<EventLog, E, R>
): Layer.Layer<EventLog, E, R | StatusSyncConfig.StatusSyncConfig> =>
  Layer.unwrapEffect(
    Effect.map(
      Primary.Primary,
      (worker): Layer.Layer<EventLog, E, R | StatusSyncConfig.StatusSyncConfig> =>
        worker === undefined ? log : EventLogChannel.layer(worker.link)
    )
  )

/** The log of `eventLog`: in memory, in a file, or in a Redis. */
export const layerConfig: Layer.Layer<EventLog, EventLogStartError, StatusSyncConfig.StatusSyncConfig> =
  Layer.unwrapEffect(
    Effect.map(StatusSyncConfig.StatusSyncConfig, ({ eventLog, eventLogNamespace }) => {
      const text = Redacted.value(eventLog)
      if (text.startsWith("file:")) return EventLogFile.layerUrl(text)
      return text === "memory"
        ? EventLogMemory.layer
        : EventLogRedis.layer({ url: eventLog, namespace: eventLogNamespace })
    })
  )
