/** Error codes of Node. */

/** The code of a Node error, like `ENOENT` or `HPE_INVALID_METHOD`; empty if it has none. */
export const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : ""
