/**
 * What JSON cannot express, and how large a value at least becomes. Both look at each part of a value once.
 */

/** Levels of nesting in a payload: far more than a status has, far fewer than overflow a stack. */
export const MAX_DEPTH = 64

/** The one name that `copy[name] = value` does not copy but takes as the prototype of the copy, as the Schemas here do and dashboards may. */
export const PROTO = "__proto__"
export const PROTO_DETAIL = "cannot name a field: copying it would change the prototype of the copy"

/** Where in a value a part is that JSON cannot express, and what is wrong with it. */
export interface Problem {
  readonly path: string
  readonly detail: string
}

const hasToJson = (value: object): value is { readonly toJSON: () => unknown } =>
  "toJSON" in value && typeof value.toJSON === "function"

/** Looks for a part that JSON cannot express. Where it has found one, its path is left as it was there. */
class Search {
  readonly path: Array<string | number> = []
  private readonly above: Array<object> = []

  /** What is wrong with the first such part. */
  problem(value: unknown): string | undefined {
    switch (typeof value) {
      case "string":
      case "boolean":
        return undefined
      case "number":
        return Number.isFinite(value) ? undefined : `${value} is not a JSON number`
      case "object":
        return value === null ? undefined : this.inObject(value)
      default:
        return `a ${typeof value} is not JSON`
    }
  }

  private inObject(value: object): string | undefined {
    if (this.above.includes(value)) return "a cycle is not JSON"
    if (this.above.length >= MAX_DEPTH) return `is nested deeper than ${MAX_DEPTH} levels`
    this.above.push(value)
    const found = this.inside(value)
    this.above.pop()
    return found
  }

  private inside(value: object): string | undefined {
    if (hasToJson(value)) {
      if (this.above.length > 1) return this.problem(value.toJSON())
      // A payload is an object of its own, whose fields say what it is about; toJSON must not replace it.
      this.path.push("toJSON")
      return "a function is not JSON"
    }
    const at = this.path.length
    if (Array.isArray(value)) {
      for (let i = 0; i < value.length; i++) {
        this.path[at] = i
        const found = this.problem(value[i])
        if (found !== undefined) return found
      }
    } else if (value instanceof Map || value instanceof Set) {
      return "a Map or Set is not JSON: make it an object or an array"
    } else {
      for (const [name, item] of Object.entries(value)) {
        this.path[at] = name
        const found = name === PROTO ? PROTO_DETAIL : item === undefined ? undefined : this.problem(item)
        if (found !== undefined) return found
      }
    }
    this.path.length = at
    return undefined
  }
}

/** The first part of a value that JSON cannot express. `JSON.stringify` throws at some such parts and silently changes others. */
export const problemIn = (value: unknown, name: string): Problem | undefined => {
  const search = new Search()
  const detail = search.problem(value)
  return detail === undefined ? undefined : { path: [name, ...search.path].join("."), detail }
}

/** Counts down from a size. */
class Budget {
  constructor(private left: number) {}

  /** Whether there is something left after the least that this value takes as JSON. */
  covers(value: unknown, depth: number): boolean {
    switch (typeof value) {
      case "string":
        this.left -= value.length + 2
        break
      case "object":
        // What is nested deeper, or makes its own JSON, is left to the search for problems.
        if (value !== null && hasToJson(value)) break
        this.left -= 2
        if (value === null || depth >= MAX_DEPTH) break
        return Array.isArray(value) ? this.coversItems(value, depth) : this.coversFields(value, depth)
      default:
        this.left--
    }
    return this.left >= 0
  }

  private coversItems(items: ReadonlyArray<unknown>, depth: number): boolean {
    this.left -= Math.max(0, items.length - 1)
    return this.left >= 0 && items.every((item) => this.covers(item, depth + 1))
  }

  private coversFields(value: object, depth: number): boolean {
    let separators = 0
    for (const name in value) {
      const item: unknown = Reflect.get(value, name)
      if (item === undefined || typeof item === "function") continue
      // Quotes and the colon.
      this.left -= name.length + 3 + separators
      separators = 1
      if (!this.covers(item, depth + 1)) return false
    }
    return this.left >= 0
  }
}

/** Whether a value certainly is larger than this as JSON in UTF-8. Stops where that is known, so a value of any size costs no more than a large one. */
export const isLargerThan = (value: unknown, bytes: number): boolean => {
  try {
    return !new Budget(bytes).covers(value, 0)
  } catch {
    // A getter of the caller threw: the search for problems meets it again, and says so.
    return false
  }
}
