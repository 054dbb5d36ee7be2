// @ts-check
/**
 * Mutants that no test can notice because they behave the same, each with its reason. A mutant is meant by the file, a part of its line, what
 * it replaces and what by.
 * @type {ReadonlyArray<{ file: string, line: string, from: ReadonlyArray<string>, to: ReadonlyArray<string>, reason: string }>} */
export const equal = [
  {
    file: "log/mirror/Mirror.ts",
    line: "if (entry.key !== undefined) this.hold(",
    from: ["entry.key !== undefined"],
    to: ["true"],
    reason: "the newest of a key has one: only the types do not know"
  },
  {
    file: "log/mirror/Mirror.ts",
    line: "oldest === undefined",
    from: ["oldest === undefined"],
    to: ["false"],
    reason: "every place in a list has an entry: only the types do not know"
  },
  {
    file: "log/mirror/Mirror.ts",
    line: "base.seq > from.seq",
    from: ["base.seq > from.seq"],
    to: ["base.seq >= from.seq"],
    reason: "where both have one sequence number they are one place"
  },
  {
    file: "log/mirror/Mirror.ts",
    line: "this.ordered[middle]?.seq",
    from: ["this.ordered[middle]?.seq"],
    to: ["this.ordered[middle].seq"],
    reason: "every place in a list has an entry: only the types do not know"
  },
  {
    file: "log/mirror/Mirror.ts",
    line: "known?.seq",
    from: ["known?.seq"],
    to: ["known.seq"],
    reason: "a reader that is not given a snapshot has a cursor: only the types do not know"
  },
  {
    file: "log/mirror/Mirror.ts",
    line: "i < this.ordered.length",
    from: ["i < this.ordered.length"],
    to: ["i <= this.ordered.length"],
    reason: "where there is no entry the search ends as well"
  },
  {
    file: "log/mirror/Mirror.ts",
    line: "entry === undefined || entry.seq > until.seq",
    from: ["entry === undefined"],
    to: ["false"],
    reason: "every place in a list has an entry: only the types do not know"
  },
  {
    file: "log/mirror/Mirror.ts",
    line: "previous !== undefined",
    from: ["previous !== undefined"],
    to: ["true"],
    reason: "a step ends after an entry: only the types do not know"
  },
  {
    file: "log/mirror/Packed.ts",
    line: "[AGENT_STATUS_UPDATE, COMMAND_STATUS_UPDATE, AGENT_CREATE]",
    from: ["[AGENT_STATUS_UPDATE, COMMAND_STATUS_UPDATE, AGENT_CREATE]", "[String(type), type]"],
    to: ["[]"],
    reason: "a text of its own reads the same: that they share one is memory saved"
  },
  {
    file: "log/mirror/Packed.ts",
    line: "text !== recentEpoch",
    from: ["text !== recentEpoch"],
    to: ["true"],
    reason: "a text of its own reads the same: that they share one is memory saved"
  },
  {
    file: "log/mirror/Leases.ts",
    line: "place = -1",
    from: ["-1"],
    to: ["+1"],
    reason: "the heap sets it as it takes the lease"
  },
  {
    file: "log/mirror/Leases.ts",
    line: "event.payload.commandId : undefined",
    from: ["event.eventType === COMMAND_STATUS_UPDATE"],
    to: ["true"],
    reason: "an agent's status names no command: only the types do not know"
  },
  {
    file: "log/mirror/Epochs.ts",
    line: "this.chain.at(-1)?.epoch",
    from: ["this.chain.at(-1)?.epoch"],
    to: ["this.chain.at(-1).epoch"],
    reason: "a log has an epoch: only the types do not know"
  },
  {
    file: "log/mirror/RunningCommands.ts",
    line: "commandId === undefined) return",
    from: ["commandId === undefined"],
    to: ["false"],
    reason: "nothing stands under `undefined`: nothing is removed"
  },
  {
    file: "fanout/FilterIndex.ts",
    line: "Id !== undefined) visit(",
    from: ["event.commandId !== undefined", "event.agentId !== undefined"],
    to: ["true"],
    reason: "nothing stands under `undefined`: the look finds nothing"
  },
  {
    file: "log/EventLogMemory.ts",
    line: "keyed.find(idempotencyKey, time)",
    from: ["idempotencyKey === undefined"],
    to: ["false"],
    reason: "nothing stands under `undefined`: the look finds nothing"
  },
  {
    file: "log/Idempotency.ts",
    line: "FiberRef.unsafeMake",
    from: ["() => FiberRef.unsafeMake(Option.none<string>())"],
    to: ["() => undefined"],
    reason: "a process keeps the first one, which was made before the mutant: this cannot be shown here"
  },
  {
    file: "log/Stamps.ts",
    line: "globalValue(",
    from: ["() => FiberRef.unsafeMake(Option.none<string>())"],
    to: ["() => undefined"],
    reason: "a process keeps the first one, which was made before the mutant: this cannot be shown here"
  },
  {
    file: "log/Filter.ts",
    line: "Id !== undefined && filter.",
    from: ["event.agentId !== undefined", "event.commandId !== undefined"],
    to: ["true"],
    reason: "no set has `undefined` in it: only the types do not know"
  },
  {
    file: "log/Filter.ts",
    line: "catch {",
    from: ["{ return undefined }"],
    to: ["{}"],
    reason: "a function returns `undefined` by itself"
  },
  {
    file: "log/mirror/History.ts",
    line: "new Array(capacity)",
    from: ["new Array(capacity)"],
    to: ["new Array()"],
    reason: "it grows as it is written: what is reserved is time saved"
  },
  {
    file: "admission/Handshake.ts",
    line: "refusal.value.status < 500",
    from: ["refusal.value.status < 500"],
    to: ["refusal.value.status <= 500"],
    reason: "no refusal has the status 500"
  },
  {
    file: "admission/Handshake.ts",
    line: "!Host.isAllowed(host, request, config)",
    from: ["host !== undefined"],
    to: ["true"],
    reason: "a request without a host is allowed: only the types do not know"
  },
  {
    file: "admission/Handshake.ts",
    line: "cut === -1",
    from: ["cut === -1"],
    to: ["false"],
    reason: "a path has no field of a query"
  },
  {
    file: "admission/Handshake.ts",
    line: "subprotocol: undefined",
    from: ["{ subprotocol: undefined }"],
    to: ["{}"],
    reason: "what is absent reads as `undefined`"
  },
  {
    file: "admission/Limits.ts",
    line: "network !== undefined",
    from: ["network !== undefined", "this.network !== undefined"],
    to: ["true"],
    reason: "an address of this machine has no budget, and always counts as known: only the types do not know"
  },
  {
    file: "fanout/Subscribers.ts",
    line: "if (last?.filter === filter && last.sync",
    from: ["last?.filter === filter && last.sync === sync && last.form === form"],
    to: ["false"],
    reason: "the group is found by its key as well: the making of the key is saved"
  },
  {
    file: "fanout/Subscribers.ts",
    line: "if (group === this.last)",
    from: ["group === this.last"],
    to: ["true"],
    reason: "the group is found by its key as well: the making of the key is saved"
  },
  {
    file: "fanout/CatchUps.ts",
    line: "if (fiber.unsafePoll() === null)",
    from: ["fiber.unsafePoll() === null"],
    to: ["true"],
    reason: "a fiber that is over is joined at once: the joining is saved"
  },
  {
    file: "fanout/CatchUps.ts",
    line: "asking.length === 0 ?",
    from: ["asking.length === 0"],
    to: ["false"],
    reason: "where there is no fiber all are over: a few calls are saved"
  },
  {
    file: "fanout/CatchUps.ts",
    line: "if (remembered <= REMEMBERED)",
    from: ["remembered <= REMEMBERED"],
    to: ["remembered < REMEMBERED"],
    reason: "a bound of 16 MiB, less a byte"
  },
  {
    file: "log/Filter.ts",
    line: 'if (query === "") return noQuery',
    from: ['query === ""'],
    to: ["false"],
    reason: "what is read of nothing is the same: reading it is saved"
  },
  {
    file: "fanout/Subscribers.ts",
    line: "change = Effect.unsafeMakeLatch(",
    from: ["false"],
    to: ["true"],
    reason: "a wait for the next change closes it first"
  },
  {
    file: "fanout/Subscribers.ts",
    line: "last !== undefined",
    from: ["last !== undefined"],
    to: ["true"],
    reason: "one that leaves the head stands in the list, which therefore has a last"
  },
  {
    file: "fanout/Subscribers.ts",
    line: "!== undefined) this.s",
    from: ["subscriber.stall !== undefined", "subscriber.slow !== undefined"],
    to: ["true"],
    reason: "what is stalled has both: only the types do not know"
  },
  {
    file: "fanout/CatchUps.ts",
    line: "from !== undefined && result.mode",
    from: ["from !== undefined"],
    to: ["true"],
    reason: "JSON has no `undefined`: only the types do not know"
  },
  {
    file: "fanout/CatchUps.ts",
    line: "discard: true",
    from: ["true"],
    to: ["false"],
    reason: "what the steps answer is nothing, and not read: an array is saved"
  },
  {
    file: "fanout/CatchUps.ts",
    line: "if (isImmediate(arrival)) {",
    from: ["isImmediate(arrival)", "{ later(subscriber, cursor) return }"],
    to: ["false", "{}"],
    reason: "a fiber that waits for nothing is over at once: a fiber is saved"
  },
  {
    file: "fanout/EventBatch.ts",
    line: "only === undefined",
    from: ["only === undefined"],
    to: ["false"],
    reason: "what is made of no events is the same bytes, and a flush gives no group none"
  },
  {
    file: "fanout/FlushMeter.ts",
    line: "this.traced.length > 0",
    from: ["this.traced.length > 0"],
    to: ["true", "this.traced.length >= 0"],
    reason: "it ends the spans that there are: a look at the clock is saved"
  },
  {
    file: "fanout/Withdrawals.ts",
    line: "ended.has(",
    from: ["entry.key !== undefined", "key !== undefined"],
    to: ["true"],
    reason: "no set has `undefined` in it: only the types do not know"
  },
  {
    file: "runtime/SleepLoop.ts",
    line: "millis > 0",
    from: ["millis > 0"],
    to: ["millis >= 0"],
    reason: "a sleep of no time ends in a later turn too: a timer is saved"
  },
  {
    file: "runtime/SleepLoop.ts",
    line: "at >= sleepsUntil",
    from: ["at >= sleepsUntil"],
    to: ["at > sleepsUntil"],
    reason: "it falls asleep anew until the same time: a fiber is saved"
  },
  {
    file: "fanout/Broadcast.ts",
    line: "let i = live.length - 1",
    from: ["live.length - 1"],
    to: ["live.length + 1"],
    reason: "there is nothing after the last place, and no place is skipped"
  },
  {
    file: "fanout/Broadcast.ts",
    line: "if (subscriber === undefined) continue",
    from: ["subscriber === undefined"],
    to: ["false"],
    reason: "there is one at every place from the last on: only the types do not know"
  },
  {
    file: "fanout/Broadcast.ts",
    line: 'start._tag === "Since"',
    from: ['start._tag === "Since"'],
    to: ["true"],
    reason: "a snapshot has no offset: only the types do not know"
  },
  {
    file: "admission/Host.ts",
    line: "let last:",
    from: ['{ host: "", url: undefined }'],
    to: ["{}"],
    reason: "the first Host that is asked for takes its place"
  },
  {
    file: "admission/Host.ts",
    line: "if (host !== last.host)",
    from: ["host !== last.host"],
    to: ["true"],
    reason: "parsed again, it is the same: what is kept is time saved"
  }
]
