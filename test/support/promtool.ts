import { spawnSync } from "node:child_process"

/** Runs promtool of Debian's package prometheus. Fails where there is none: what it checks is checked by nothing else. */
export const promtool = (
  args: ReadonlyArray<string>,
  input = ""
): { readonly status: number; readonly said: string } => {
  const { error, status, stderr, stdout } = spawnSync("promtool", args, { input, encoding: "utf8" })
  if (error !== undefined) throw new Error(`promtool cannot be run (apt-get install prometheus): ${error.message}`)
  return { status: status ?? -1, said: `${stdout}${stderr}` }
}
