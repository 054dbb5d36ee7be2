/** Real Redis servers in folders of their own: started, paused, killed and started again by their process ids. */
import { type ChildProcess, spawn } from "node:child_process"
import { mkdtemp, rm } from "node:fs/promises"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createClient } from "@redis/client"

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const probe = createServer()
    probe.on("error", reject)
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address()
      probe.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0))
    })
  })

/** What is kept on disk: nothing, every second, or every write before its answer. */
export type Persistence = "none" | "everysec" | "always"

export interface Options {
  readonly persistence?: Persistence
  readonly args?: ReadonlyArray<string>
}

/** A Redis server. It ends with `end`. */
export class RedisServer {
  private child: ChildProcess | undefined

  private constructor(
    readonly port: number,
    private readonly folder: string,
    private readonly options: Options
  ) {}

  static async start(options: Options = {}): Promise<RedisServer> {
    for (let attempt = 1; ; attempt++) {
      const folder = await mkdtemp(join(tmpdir(), "stratix-redis-"))
      const server = new RedisServer(await freePort(), folder, options)
      try {
        await server.run()
        return server
      } catch (error) {
        await server.end()
        // Another program may have taken the port since it was found free.
        if (attempt === 3) throw error
      }
    }
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`
  }

  /** Starts the process, on what its folder holds. */
  async run(): Promise<void> {
    const { args = [], persistence = "none" } = this.options
    const persist =
      persistence === "none" ? ["--appendonly", "no"] : ["--appendonly", "yes", "--appendfsync", persistence]
    const child = spawn(
      "redis-server",
      // Replicas begin at once, not after the five seconds in which others may join them.
      [
        "--repl-diskless-sync-delay",
        "0",
        "--port",
        String(this.port),
        "--bind",
        "127.0.0.1",
        "--dir",
        this.folder,
        "--save",
        "",
        ...persist,
        ...args
      ],
      { stdio: ["ignore", "pipe", "ignore"] }
    )
    this.child = child
    await new Promise<void>((resolve, reject) => {
      let said = ""
      child.on("error", reject)
      child.on("exit", (code) => reject(new Error(`redis-server ended with ${code}: ${said}`)))
      child.stdout?.on("data", (data) => {
        said += String(data)
        if (said.includes("Ready to accept connections")) resolve()
      })
    })
  }

  /** As `kill -9` does: nothing is written any more. */
  async kill(): Promise<void> {
    const { child } = this
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()))
    child.kill("SIGKILL")
    await ended
  }

  pause(): void {
    this.child?.kill("SIGSTOP")
  }

  resume(): void {
    this.child?.kill("SIGCONT")
  }

  async command(...args: ReadonlyArray<string>): Promise<unknown> {
    const client = createClient({ RESP: 2, socket: { host: "127.0.0.1", port: this.port, reconnectStrategy: false } })
    client.on("error", () => undefined)
    await client.connect()
    try {
      return await client.sendCommand(args)
    } finally {
      client.destroy()
    }
  }

  async end(): Promise<void> {
    await this.kill()
    await rm(this.folder, { recursive: true, force: true })
  }
}
