// @ts-check
/** The files whose mutants count, each with the tests that are to notice them: its own. */

// Not the suite of logs, which takes a hundred times as long.
const mirror = (/** @type {string} */ name) => [`log/mirror/${name}.test.ts`]

/** Below src/stratix-gateway, and below test/stratix-gateway; of the tests those that exist.
 * @type {{ readonly [source: string]: ReadonlyArray<string> }} */
export const files = {
  "fanout/CatchUps.ts": ["fanout/CatchUps.test.ts", "fanout/CatchUpSteps.test.ts"],
  // Not the laws, nor what whole gateways show: hundreds of random runs for each mutant would be hours.
  "fanout/Broadcast.ts": ["Flushes", "Faults", "Places"].map((name) => `fanout/sockets/${name}.test.ts`),
  "fanout/Subscribers.ts": ["fanout/Subscribers.test.ts"],
  "fanout/FilterIndex.ts": ["fanout/FilterIndex.test.ts"],
  "fanout/EventBatch.ts": ["fanout/EventBatch.test.ts"],
  "fanout/FlushMeter.ts": ["fanout/FlushMeter.test.ts"],
  "fanout/Withdrawals.ts": ["fanout/Withdrawals.test.ts"],
  "api/websocket/Heartbeat.ts": ["api/websocket/Heartbeat.test.ts"],
  "runtime/TimeoutQueues.ts": ["runtime/TimeoutQueues.test.ts"],
  "runtime/ExpiryTimers.ts": ["runtime/ExpiryTimers.test.ts"],
  "runtime/SleepLoop.ts": ["runtime/SleepLoop.test.ts"],
  "log/mirror/Mirror.ts": ["Mirror.restored", "Mirror", "Mirror.readers"].flatMap(mirror),
  "log/mirror/History.ts": mirror("History"),
  "log/mirror/Packed.ts": mirror("Packed"),
  "log/mirror/Records.ts": mirror("Records"),
  "log/mirror/Leases.ts": mirror("Leases"),
  "log/mirror/Removals.ts": mirror("Removals"),
  "log/mirror/Epochs.ts": mirror("Epochs"),
  "log/mirror/OwnEvents.ts": mirror("OwnEvents"),
  "log/mirror/FinishedCommands.ts": mirror("FinishedCommands"),
  "log/mirror/RunningCommands.ts": mirror("RunningCommands"),
  "log/mirror/StatusCounts.ts": mirror("StatusCounts"),
  "log/EventLog.ts": ["log/EventLog.test.ts"],
  "log/EventLogMemory.ts": ["log/EventLogMemory.test.ts"],
  "log/Idempotency.ts": ["log/Idempotency.test.ts"],
  "log/Filter.ts": ["log/Filter.test.ts"],
  "log/EventEncoder.ts": ["log/EventEncoder.test.ts"],
  "log/Stamps.ts": ["log/Stamps.test.ts"],
  "admission/Handshake.ts": ["Handshake.requests", "Handshake.principals", "Handshake"].map(
    (name) => `admission/${name}.test.ts`
  ),
  "admission/Origin.ts": ["admission/Origin.test.ts"],
  "admission/Host.ts": ["admission/Host.test.ts"],
  "admission/ClientAddress.ts": ["admission/ClientAddress.test.ts"],
  "admission/AddressBudgets.ts": ["admission/AddressBudgets.test.ts", "admission/Limits.test.ts"],
  "admission/Limits.ts": ["admission/Limits.test.ts"],
  "admission/TokenBucket.ts": ["admission/TokenBucket.test.ts"]
}
