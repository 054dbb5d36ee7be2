/** Where the figures come from: absolute ones mean nothing without it. */
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import os from "node:os"

const require = createRequire(import.meta.url)
const { dependencies } = require("../package.json")

/** The gateway brings a `ws` of its own. */
const ownWs = () =>
  JSON.parse(readFileSync(new URL("../../../node_modules/ws/package.json", import.meta.url), "utf8")).version

export const machine = () => ({
  cpu: os.cpus()[0]?.model.trim() ?? "unknown",
  cores: os.cpus().length,
  memoryGb: Math.round(os.totalmem() / 1024 ** 3),
  system: `${os.type()} ${os.release()}`,
  versions: {
    node: process.versions.node,
    "ws (in ours)": ownWs(),
    ws: dependencies.ws,
    "socket.io": dependencies["socket.io"],
    "uWebSockets.js": dependencies["@trufflesuite/uws-js-unofficial"].split("-")[0],
    bun: dependencies.bun
  }
})

/** How many files a process may have open: each connection is one, on either side. */
export const openFiles = () => {
  /** @type {{ userLimits?: { open_files?: { soft?: string | number } } }} */
  const { userLimits } = process.report.getReport()
  const files = Number(userLimits?.open_files?.soft)
  return Number.isNaN(files) ? Number.POSITIVE_INFINITY : files
}
