import { afterEach, describe, expect, it, vi } from "vitest"
import { platform } from "../../src/stratix-client/Environment.js"
import { reportToPlatform, StatusClientError } from "../../src/stratix-client/StatusClientError.js"

afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

/** A page as far as the client looks at it. */
const page = () => {
  const window = new EventTarget()
  const document = Object.assign(new EventTarget(), { visibilityState: "visible" })
  vi.stubGlobal("document", document)
  vi.stubGlobal("addEventListener", window.addEventListener.bind(window))
  return { window, document }
}

it("wakes on every sign that network or page may be back, not when the page is hidden, and not after it was stopped", () => {
  const { document, window } = page()
  let woken = 0
  const stop = platform.onWake(() => woken++)
  for (const type of ["online", "offline", "pageshow"]) window.dispatchEvent(new Event(type))
  expect(woken).toBe(3)
  for (const type of ["visibilitychange", "resume"]) document.dispatchEvent(new Event(type))
  expect(woken).toBe(5)
  document.visibilityState = "hidden"
  document.dispatchEvent(new Event("visibilitychange"))
  expect(woken).toBe(5)
  stop()
  document.visibilityState = "visible"
  window.dispatchEvent(new Event("online"))
  document.dispatchEvent(new Event("visibilitychange"))
  expect(woken).toBe(5)
})

it("never wakes where there is neither window nor document", () => {
  expect(() => platform.onWake(() => undefined)()).not.toThrow()
})

it("waits with a timer that can be cancelled, and never fires at once because it has long to wait", () => {
  vi.useFakeTimers()
  const ran: Array<string> = []
  platform.setTimer(() => ran.push("soon"), 10)
  platform.setTimer(() => ran.push("cancelled"), 10)()
  platform.setTimer(() => ran.push("never"), 2 ** 40)
  vi.advanceTimersByTime(1000)
  expect(ran).toEqual(["soon"])
})

describe("a frame", () => {
  /** Frames that are drawn when told to. */
  const screen = () => {
    const frames = new Map<number, () => void>()
    let last = 0
    vi.stubGlobal("requestAnimationFrame", (task: () => void) => {
      frames.set(++last, task)
      return last
    })
    vi.stubGlobal("cancelAnimationFrame", (frame: number) => frames.delete(frame))
    return { frames, draw: () => [...frames.values()].map((task) => task()) }
  }

  it("is the next that the page draws; a hidden page, which draws none, gets one a second", () => {
    vi.useFakeTimers()
    const { draw, frames } = screen()
    const ran: Array<string> = []
    platform.onFrame(() => ran.push("drawn"))
    draw()
    expect(ran).toEqual(["drawn"])
    expect(vi.getTimerCount()).toBe(0)
    platform.onFrame(() => ran.push("hidden"))
    vi.advanceTimersByTime(999)
    expect(ran).toEqual(["drawn"])
    vi.advanceTimersByTime(1)
    expect(ran).toEqual(["drawn", "hidden"])
    platform.onFrame(() => ran.push("cancelled"))()
    expect([frames.size, vi.getTimerCount()]).toEqual([0, 0])
  })

  it("is a turn of the event loop where nothing is drawn", () => {
    vi.useFakeTimers()
    const ran: Array<string> = []
    platform.onFrame(() => ran.push("later"))
    platform.onFrame(() => ran.push("cancelled"))()
    expect(ran).toEqual([])
    vi.advanceTimersByTime(0)
    expect(ran).toEqual(["later"])
  })
})

it("tells the time and takes chances", () => {
  expect(Math.abs(platform.now() - Date.now())).toBeLessThan(1000)
  expect(platform.random()).toBeLessThan(1)
})

it("reports errors to the page where there is one, else as a warning of the process", () => {
  const error = new StatusClientError("HandlerFailed", "oops")
  const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined)
  reportToPlatform(error)
  expect(warned).toHaveBeenCalledWith(error)
  const reported = vi.fn()
  vi.stubGlobal("reportError", reported)
  reportToPlatform(error)
  expect(reported).toHaveBeenCalledWith(error)
  expect(warned).toHaveBeenCalledTimes(1)
  warned.mockRestore()
})
