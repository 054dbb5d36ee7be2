/** Where figures come from: absolute ones mean nothing without it. */
import os from "node:os"

export const thisMachine = () =>
  `${os.cpus()[0]?.model.trim() ?? "unknown CPU"}, ${os.cpus().length} cores, ` +
  `${Math.round(os.totalmem() / 1024 ** 3)} GB, ${os.type()} ${os.release()}, Node ${process.versions.node}`
