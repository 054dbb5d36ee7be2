/** What screens show of a publisher that is killed, paused, cut off and restarted, at a gateway that is killed, paused and restarted. */
import { mkdtempSync, rmSync } from "node:fs"
import * as Net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { build } from "esbuild"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type Program, portOf, startGateway, startProgram } from "../stratix-gateway/support/standAlone.js"

const scratch = mkdtempSync(join(tmpdir(), "stratix-publisher-"))
const worker = join(scratch, "worker.mjs")

/** The way from the publisher to the gateway, which can be cut and led to another one. */
class Way {
  private readonly sockets = new Set<Net.Socket>()
  private readonly server: Net.Server
  private target: number | undefined
  /** Answers to renewals that went through it. */
  renewals = 0

  constructor() {
    this.server = Net.createServer((socket) => {
      if (this.target === undefined) {
        socket.destroy()
        return
      }
      const onward = Net.connect(this.target, "127.0.0.1")
      for (const end of [socket, onward]) {
        this.sockets.add(end)
        end.on("error", () => {})
        end.on("close", () => {
          this.sockets.delete(end)
          socket.destroy()
          onward.destroy()
        })
      }
      socket.pipe(onward).on("data", (data: Buffer) => {
        if (data.includes('"missing":[')) this.renewals++
      })
      onward.pipe(socket)
    })
  }

  async open(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, "127.0.0.1", resolve))
    const address = this.server.address()
    return `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`
  }

  lead(target: number | undefined): void {
    this.target = target
    if (target === undefined) for (const socket of this.sockets) socket.destroy()
  }

  close(): void {
    this.lead(undefined)
    this.server.close()
  }
}

/** What the gateway shows: of each agent and command its status, and why. */
const shown = async (port: number) => {
  const answer = await fetch(`http://127.0.0.1:${port}/api/stratix/state`)
  const { events }: { readonly events: ReadonlyArray<{ readonly payload: Readonly<Record<string, unknown>> }> } =
    JSON.parse(await answer.text())
  return events
    .flatMap(({ payload: { agentId, commandId, commandStatus, error, reason, status } }) => {
      if (status === undefined && commandStatus === undefined) return []
      return `${commandId ?? agentId} ${commandStatus ?? status}${error || reason ? `: ${error ?? reason}` : ""}`
    })
    .sort()
}

const ALIVE = ["agent-001 busy", "cmd-001 running"]
const DEAD = ["agent-001 offline: lease expired", "cmd-001 failed: lease expired"]

/** Asks until it shows that. The test's own time-out bounds it. */
const untilShown = async (port: number, wanted: ReadonlyArray<string>) => {
  while (String(await shown(port)) !== String(wanted)) await sleep(20)
}

/** Milliseconds, of a lease that ends in these tests; a busy machine may end it early, and what is waited for comes again. */
const LEASE = 1500

/** Of a lease that must not end: a busy machine renews it in time. */
const LONG_LEASE = 6000

const PATIENCE = 120_000

describe("processes", () => {
  const programs: Array<Program> = []
  const way = new Way()
  let url = ""

  beforeAll(async () => {
    await build({
      entryPoints: [new URL("support/worker.ts", import.meta.url).pathname],
      outfile: worker,
      bundle: true,
      format: "esm",
      platform: "node"
    })
    url = await way.open()
  })

  afterAll(async () => {
    way.close()
    for (const { child } of programs) child.kill("SIGKILL")
    await Promise.all(programs.map(({ ended }) => ended))
    rmSync(scratch, { recursive: true })
  })

  const gateway = async () => {
    const program = await startGateway()
    programs.push(program)
    const port = await portOf(program)
    way.lead(port)
    return { program, port }
  }

  const publisher = (lease = LEASE) => {
    const program = startProgram(process.execPath, [worker, url, String(lease)], {})
    programs.push(program)
    return program
  }

  it(
    "a publisher that is killed is dead on every screen, one that is started again lives, one that ends says so",
    async () => {
      const { port } = await gateway()
      const first = publisher()
      await untilShown(port, ALIVE)
      first.child.kill("SIGKILL")
      await untilShown(port, DEAD)
      const second = publisher()
      await untilShown(port, ALIVE)
      second.child.kill("SIGTERM")
      expect((await second.ended).code).toBe(0)
      expect(await shown(port)).toEqual(["agent-001 offline", "cmd-001 failed: agent closed"])
    },
    PATIENCE
  )

  it(
    "one that is paused, or cut off, is dead until it is heard again",
    async () => {
      const { port } = await gateway()
      const { child } = publisher()
      await untilShown(port, ALIVE)
      child.kill("SIGSTOP")
      await untilShown(port, DEAD)
      child.kill("SIGCONT")
      await untilShown(port, ALIVE)
      way.lead(undefined)
      await untilShown(port, DEAD)
      way.lead(port)
      await untilShown(port, ALIVE)
      child.kill("SIGKILL")
    },
    PATIENCE
  )

  it(
    "a gateway that is killed and comes back empty is told everything again",
    async () => {
      const { program } = await gateway()
      const { child } = publisher()
      await untilShown(await portOf(program), ALIVE)
      program.child.kill("SIGKILL")
      await program.ended
      const { port } = await gateway()
      await untilShown(port, ALIVE)
      child.kill("SIGKILL")
      await untilShown(port, DEAD)
    },
    PATIENCE
  )

  it(
    "a gateway that was paused for longer than a lease does not call those dead whom it did not hear",
    async () => {
      const { port, program } = await gateway()
      const { child } = publisher(LONG_LEASE)
      await untilShown(port, ALIVE)
      const answered = async (count: number) => {
        while (way.renewals < count) await sleep(20)
      }
      await answered(way.renewals + 1)
      program.child.kill("SIGSTOP")
      await sleep(LONG_LEASE + 2000)
      const before = way.renewals
      program.child.kill("SIGCONT")
      await answered(before + 2)
      expect(await shown(port)).toEqual(ALIVE)
      const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
      expect(metrics).toMatch(/^stratix_leases_expired_total 0$/m)
      child.kill("SIGKILL")
    },
    PATIENCE
  )
})
