/** A wire between two programs that a test can cut, delay and lead elsewhere. */
import { connect, createServer, type Server, type Socket } from "node:net"

/** A TCP proxy on a port of its own. */
export class Wire {
  /** Ports that connections are led to, in turns. */
  targets: ReadonlyArray<number> = []
  /** Milliseconds by which every answer is late. */
  delay = 0
  /** Refuses connections. */
  isCut = false
  /** Called with every request; `true`: the answer to it is lost, and the connection with it. */
  losesAnswerTo: (request: string) => boolean = () => false
  /** Connections so far that it did not refuse. */
  accepted = 0
  private readonly pairs = new Set<readonly [Socket, Socket]>()

  private constructor(
    private readonly server: Server,
    readonly port: number
  ) {}

  static open(...targets: ReadonlyArray<number>): Promise<Wire> {
    return new Promise((resolve) => {
      const server = createServer()
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        const wire = new Wire(server, typeof address === "object" && address !== null ? address.port : 0)
        wire.targets = targets
        server.on("connection", (socket) => wire.lead(socket))
        resolve(wire)
      })
    })
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`
  }

  private lead(near: Socket): void {
    if (this.isCut) {
      near.destroy()
      return
    }
    const far = connect(this.targets[this.accepted++ % this.targets.length] ?? 0, "127.0.0.1")
    const pair = [near, far] as const
    this.pairs.add(pair)
    let isLost = false
    const end = () => {
      near.destroy()
      far.destroy()
      this.pairs.delete(pair)
    }
    for (const socket of pair) {
      socket.setNoDelay(true)
      socket.on("error", end)
      socket.on("close", end)
    }
    near.on("data", (data) => {
      if (this.losesAnswerTo(data.toString("latin1"))) isLost = true
      far.write(data)
    })
    far.on("data", (data) => {
      if (isLost) end()
      else if (this.delay === 0) near.write(data)
      else setTimeout(() => near.write(data), this.delay)
    })
  }

  /** Ends every connection, and takes no others until `mend`. */
  cut(): void {
    this.isCut = true
    for (const pair of this.pairs) for (const socket of pair) socket.destroy()
  }

  mend(): void {
    this.isCut = false
  }

  close(): Promise<void> {
    this.cut()
    return new Promise((resolve) => this.server.close(() => resolve()))
  }
}
