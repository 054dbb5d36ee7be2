// @ts-check
import { Worker } from "node:worker_threads"

/** Milliseconds between two looks. */
const LOOK_EVERY = 500

const LOOKS = `
  const { parentPort, workerData: victim } = require("node:worker_threads")
  const parent = process.ppid
  const used = () => { const { system, user } = process.cpuUsage(); return (system + user) / 1000 }
  let until = Infinity
  parentPort.on("message", (millis) => { until = used() + millis })
  setInterval(() => {
    if (process.ppid !== parent || used() > until) process.kill(victim, "SIGKILL")
  }, ${LOOK_EVERY})`

/**
 * A thread that ends this process, or with `group` all of its group, once the process that started it has gone, or once it has taken more
 * processor time than it was last allowed. A mutant's endless loop leaves the process itself no turn to look in.
 * @param {{ group: boolean }} what
 * @returns {(millis: number) => void} Allows so much processor time from now on. */
export const watchdog = ({ group }) => {
  const thread = new Worker(LOOKS, {
    eval: true,
    execArgv: [],
    env: {},
    workerData: group ? -process.pid : process.pid
  })
  thread.unref()
  return (millis) => thread.postMessage(millis)
}
