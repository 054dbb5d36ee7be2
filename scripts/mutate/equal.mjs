// @ts-check
/**
 * Mutants that no test can notice because they behave the same, each with its reason. A mutant is meant by the file, a part of its line, what
 * it replaces and what by.
 * @type {ReadonlyArray<{ file: string, line: string, from: ReadonlyArray<string>, to: ReadonlyArray<string>, reason: string }>} */
export const equal = [
  {
    file: "fanout/FilterIndex.ts",
    line: "Id !== undefined) visit(",
    from: ["event.commandId !== undefined", "event.agentId !== undefined"],
    to: ["true"],
    reason: "nothing stands under `undefined`: the look finds nothing"
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
    file: "admission/Limits.ts",
    line: "network !== undefined",
    from: ["network !== undefined", "this.network !== undefined"],
    to: ["true"],
    reason: "an address of this machine has no budget, and always counts as known: only the types do not know"
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
  }
]
