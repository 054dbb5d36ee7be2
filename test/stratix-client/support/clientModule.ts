import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"

/** Has the build make `dist/client.js`. */
export const buildClientModule = async (): Promise<void> => {
  const cwd = fileURLToPath(new URL("../../..", import.meta.url))
  await promisify(execFile)(process.execPath, ["scripts/build-client-module.mjs"], { cwd })
}
