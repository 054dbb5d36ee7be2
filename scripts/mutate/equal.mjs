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
