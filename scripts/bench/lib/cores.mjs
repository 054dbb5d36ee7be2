/** Which cores are the server's and which the load's, so that more of the one do not cost the other. */
import { availableParallelism } from "node:os"

/** Below this many cores there is nothing to part. */
const ENOUGH = 4

const cores = availableParallelism()
const half = cores >> 1
const isParted = cores >= ENOUGH && process.platform === "linux"

/** Cores that the server can use. */
export const serverCores = isParted ? half : cores

/** Processes that are the load: a number by which the clients can be divided. */
export const loads = half >= 4 ? 4 : 2

/** The lists of `taskset`, where each side has cores of its own. */
export const parts = isParted ? { server: `0-${half - 1}`, load: `${half}-${cores - 1}` } : undefined

/** A command that stays on these cores. */
export const pinned = (list, command, args) =>
  list === undefined ? { command, args } : { command: "taskset", args: ["-c", list, command, ...args] }
