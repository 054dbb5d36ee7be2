/** What a run found: how many inputs of which kind, what they led to, and what must not be. */

/** Of each thing that must not be, so many are kept in words. */
const SHOWN = 20

/** Status codes before the upgrade, and close codes after it (docs/PROTOCOL.md §6 and §7). 1006: the socket ended without one. */
export const STATUSES = new Set([101, 200, 202, 400, 401, 403, 404, 405, 408, 413, 415, 426, 429, 431, 503])
export const CLOSE_CODES = new Set([1000, 1001, 1002, 1003, 1007, 1008, 1009, 1012, 1013, 4401, 4403])

export class Outcome {
  inputs = {}
  ends = {}
  broken = []
  brokenCount = 0

  input(kind, count = 1) {
    this.inputs[kind] = (this.inputs[kind] ?? 0) + count
  }

  end(how) {
    this.ends[how] = (this.ends[how] ?? 0) + 1
  }

  breaks(what, input) {
    this.brokenCount++
    if (this.broken.length < SHOWN) this.broken.push(`${what}: ${JSON.stringify(input)?.slice(0, 400)}`)
  }

  get total() {
    return Object.values(this.inputs).reduce((sum, count) => sum + count, 0)
  }
}
