import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

setFlagsFromString("--expose-gc")

/** Collects what nothing refers to. A `WeakRef` keeps what it refers to until the end of the turn in which it was made or asked. */
export const collectGarbage: () => void = runInNewContext("gc")
