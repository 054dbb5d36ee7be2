// @ts-check
/**
 * A Chromium that nothing listens to but what is asked for. Playwright has the browser report every message of every socket to it, text and
 * all: of a snapshot that is more work than the snapshot.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import WebSocket from "ws"

/** Starts it, without a page. */
export const startChromium = async () => {
  const profile = await mkdtemp(join(tmpdir(), "screens-"))
  const child = spawn(
    process.env["CHROMIUM"] ?? "/usr/bin/chromium",
    [
      "--headless=new",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-background-networking",
      "--no-first-run",
      "--remote-debugging-port=0",
      `--user-data-dir=${profile}`,
      "about:blank"
    ],
    { stdio: ["ignore", "ignore", "pipe"] }
  )
  const end = () => child.kill("SIGKILL")
  process.on("exit", end)
  /** @type {string} */
  const endpoint = await new Promise((resolve, reject) => {
    let output = ""
    child.stderr.setEncoding("utf8").on("data", (text) => {
      output += text
      const found = /DevTools listening on (ws:\S+)/.exec(output)?.[1]
      if (found !== undefined) resolve(found)
    })
    child.on("exit", () => reject(new Error(`Chromium ended: ${output}`)))
  })
  const socket = new WebSocket(endpoint)
  await once(socket, "open")
  /** @type {Map<number, { resolve: (result: any) => void, reject: (error: Error) => void }>} */
  const waiting = new Map()
  let last = 0
  socket.on("message", (data) => {
    const { error, id, result } = JSON.parse(String(data))
    const call = waiting.get(id)
    waiting.delete(id)
    if (error === undefined) call?.resolve(result)
    else call?.reject(new Error(error.message))
  })
  /** @type {(method: string, params?: object, sessionId?: string) => Promise<any>} */
  const send = (method, params = {}, sessionId) =>
    new Promise((resolve, reject) => {
      const id = ++last
      waiting.set(id, { resolve, reject })
      socket.send(JSON.stringify({ id, method, params, sessionId }))
    })
  return {
    /** A page at an address. */
    open: async (/** @type {string} */ url) => {
      const { targetId } = await send("Target.createTarget", { url: "about:blank" })
      const { sessionId } = await send("Target.attachToTarget", { targetId, flatten: true })
      await send("Performance.enable", { timeDomain: "threadTicks" }, sessionId)
      await send("Page.navigate", { url }, sessionId)
      return {
        /** The value of an expression, awaited if it is a promise. */
        evaluate: async (/** @type {string} */ expression) => {
          const { exceptionDetails, result } = await send(
            "Runtime.evaluate",
            { expression, awaitPromise: true, returnByValue: true },
            sessionId
          )
          if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails))
          return result.value
        },
        /** Seconds for which the main thread had the processor. */
        worked: async () => {
          const { metrics } = await send("Performance.getMetrics", {}, sessionId)
          return metrics.find((/** @type {{ name: string }} */ { name }) => name === "TaskDuration")?.value ?? 0
        },
        close: () => send("Target.closeTarget", { targetId })
      }
    },
    close: async () => {
      process.off("exit", end)
      const gone = once(child, "exit")
      child.kill("SIGKILL")
      await gone
      await rm(profile, { recursive: true, force: true, maxRetries: 10 })
    }
  }
}
