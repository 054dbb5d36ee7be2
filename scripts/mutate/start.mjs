// @ts-check
/** The one file that vitest itself runs: when it is through, runner.mjs takes the process over. */
import { test } from "vitest"

test("the process is up", () => {})
