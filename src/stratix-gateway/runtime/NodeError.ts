/** What errors of Node say besides their message. */

/** The code of an error of Node, like `ENOENT` or `HPE_INVALID_METHOD`; empty where it has none. */
export const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : ""
