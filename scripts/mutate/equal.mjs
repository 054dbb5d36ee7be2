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
  }
]
