/**
 * Files: who may read them, and how many a process may open.
 */
import * as Fs from "node:fs"
import type { Settings } from "../../config/StatusSyncConfig.js"
import { type Finding, warning } from "./Finding.js"

/** Whether others than its owner may read a file with secrets in it. */
const readableByOthers = (path: string): boolean => {
  try {
    return (Fs.statSync(path).mode & 0o044) !== 0
  } catch {
    return false
  }
}

/** Files with secrets that others may read. */
export const secrets = (given: Settings): ReadonlyArray<Finding> =>
  [given.tokensFile, given.tlsKey]
    .filter((path) => path !== undefined)
    .filter(readableByOthers)
    .map((path) => warning("files", `${path} can be read by other users of this machine`, `chmod 600 ${path}`))

/** Files a process has open besides connections: its log, Node's own, publishers. */
const SPARE_FILES = 1100

/** Whether this process may open as many files as its connections need; Linux only. */
export const limit = (given: Settings): ReadonlyArray<Finding> => {
  try {
    const allowed = Number(/^Max open files\s+\d+\s+(\d+)/m.exec(Fs.readFileSync("/proc/self/limits", "utf8"))?.[1])
    const needed = given.maxConnections + SPARE_FILES
    return allowed < needed
      ? [
          warning(
            "files",
            `${given.maxConnections} connections (STRATIX_MAX_CONNECTIONS) need ${needed} open files, and ${allowed} are allowed here`,
            `ulimit -n ${needed}, LimitNOFILE= in a systemd unit, or fewer connections`
          )
        ]
      : []
  } catch {
    return []
  }
}
