import { afterEach, expect, it, vi } from "vitest"
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
