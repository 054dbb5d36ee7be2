/** Who is measured, and how a raw client talks to each. */
import { existsSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const require = createRequire(import.meta.url)
const server = (name) => fileURLToPath(new URL(`../servers/${name}.mjs`, import.meta.url))

/** Where node servers leave a CPU profile; see README. */
const profiles = process.env.BENCH_PROFILES

const node =
  (name, ...more) =>
  () => ({
    command: process.execPath,
    args: ["--expose-gc", ...(profiles ? ["--cpu-prof", `--cpu-prof-dir=${profiles}`] : []), server(name), ...more]
  })

const guest = (title, host) => ({ title, program: node("guest", host), path: "/", greetings: 1 })

/** npm's `bun` fetches its binary in an install script; the platform package it depends on has it without one. */
const bun = () => {
  const arch = process.arch === "arm64" ? "aarch64" : process.arch
  for (const flavour of ["", "-musl"]) {
    try {
      const home = dirname(require.resolve(`@oven/bun-${process.platform}-${arch}${flavour}/package.json`))
      const command = join(home, "bin", "bun")
      if (existsSync(command)) return { command, args: [server("bun")] }
    } catch {
      // not the flavour of this machine
    }
  }
  throw new Error("there is no bun for this machine in scripts/bench/node_modules")
}

/** `greetings`: messages before a client is in. */
export const peers = {
  ours: { title: "ours", program: node("ours"), path: "/", greetings: 1 },
  ws: { title: "`ws` loop", program: node("ws"), path: "/", greetings: 0 },
  socketio: {
    title: "socket.io",
    program: node("socketio"),
    path: "/socket.io/?EIO=4&transport=websocket",
    greetings: 2,
    socketio: true
  },
  uws: { title: "uWebSockets.js", program: node("uws"), path: "/", greetings: 0 },
  bun: { title: "Bun", program: bun, path: "/", greetings: 0 },
  oneProcess: { title: "one process", program: node("standalone", "1"), path: "/", greetings: 1 },
  workers2: { title: "2 workers", program: node("standalone", "2"), path: "/", greetings: 1 },
  workers4: { title: "4 workers", program: node("standalone", "4"), path: "/", greetings: 1 },
  httpServer: guest("`StatusSyncHttpServer`", "http-server"),
  httpLayerRouter: guest("`HttpLayerRouter`", "http-layer-router"),
  httpApi: guest("`HttpApiBuilder`", "http-api"),
  httpRouter: guest("`HttpRouter`", "http-router"),
  platformUpgrade: guest("`request.upgrade`", "platform-upgrade"),
  // Logs, which have no server.
  memory: { title: "memory" },
  file: { title: "file" },
  fileDisk: { title: "file, `durability=disk`" },
  redis: { title: "Redis" }
}
