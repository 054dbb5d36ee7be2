/**
 * What a Schema says about a value that it refuses.
 */

/** Without a look inside: what came over the wire can be nested deeper than the stack goes, or have a `toString` that is no function. */
export const preview = (value: unknown): string => {
  const shown =
    typeof value === "string"
      ? JSON.stringify(value)
      : typeof value === "object" && value !== null
        ? Array.isArray(value)
          ? "an array"
          : "an object"
        : String(value)
  return shown.length > 48 ? `${shown.slice(0, 48)}…` : shown
}

/** What a value must be, said instead of every message from inside its Schema. */
export const must = (be: string) => ({
  message: (issue: { readonly actual: unknown }) => ({
    message: `must be ${be}, got ${preview(issue.actual)}`,
    override: true
  })
})
