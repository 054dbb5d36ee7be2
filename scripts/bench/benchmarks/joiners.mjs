import { now, sleep } from "../lib/clock.mjs"
import { Trial } from "../lib/trial.mjs"

const sizes = { full: { keys: 100_000, joiners: 100 }, quick: { keys: 10_000, joiners: 20 } }

const SYNC = { sync: true, headers: ["Sec-WebSocket-Protocol: stratix.sync.v1"] }

/** What a snapshot is on the wire: bytes for each key, in messages of some 64 KiB. */
const BYTES_PER_KEY = 190
const MESSAGE_BYTES = 64 * 1024

/** The CPU of one after the other, and of all at once; `join.run` resolves to the milliseconds until they had everything. */
const measured = async (trial, many, join) => {
  const cost = async (name, count) => {
    await join.prepare(name, count)
    const cpu = await trial.server.ask("cpu")
    const liveMs = await join.run(name, count)
    const cpuMs = ((await trial.server.ask("cpu")) - cpu) / 1000
    await trial.client.ask("drop", { name })
    return { cpuMs, liveMs }
  }
  await cost("warm", 1)
  const one = await cost("one", 1)
  const all = await cost("all", many)
  return {
    "CPU ms, one": one.cpuMs,
    "CPU ms, all at once": all.cpuMs,
    "all have it after, one, ms": one.liveMs,
    "all have it after, all, ms": all.liveMs
  }
}

/** Sync clients that connect. */
const snapshots = async (trial, keys) => {
  await trial.server.ask("turn", { agents: keys, stride: 1 })
  await trial.server.ask("fillKeys", { count: keys })
  await sleep(1000)
  return {
    prepare: async () => undefined,
    run: async (name, count) => {
      const { readyMs } = await trial.connect({ name, count, concurrency: count, ...SYNC })
      return readyMs.at(-1)
    }
  }
}

/** As many bytes, made once, for clients that are connected: the writes and nothing else. */
const writes = async (trial, keys) => {
  const messages = Math.ceil((keys * BYTES_PER_KEY) / MESSAGE_BYTES)
  return {
    prepare: async (name, count) => {
      await trial.connect({ name, count, concurrency: count })
      await trial.client.ask("record", { name, events: messages })
    },
    run: async (name) => {
      const start = now()
      await trial.server.ask("same", { messages, bytes: MESSAGE_BYTES })
      const { doneAt, left } = await trial.client.ask("recorded", { name })
      if (left > 0) throw new Error(`${left} of ${messages} messages did not reach every client`)
      return (Math.max(...doneAt) - start) / 1e6
    }
  }
}

export const joiners = {
  title: "Everybody joins at once",
  about:
    "100,000 keys, and clients that begin with all of them: one, and 100 at once. CPU of the server. For those who read at the same pace a step is encoded once, so what a client more costs is its writes: 19 MB that the operating system copies. `ws` is those writes alone: as many bytes, made once, in messages of 64 KiB, for clients that are connected already.",
  peers: ["ours", "ws"],
  measure: (peer, scale) =>
    Trial.run(peer, {}, async (trial) => {
      const { joiners: many, keys } = sizes[scale]
      return measured(trial, many, await (peer === "ours" ? snapshots : writes)(trial, keys))
    })
}
