import { spawn } from "node:child_process"
import { once } from "node:events"
import { cpSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { basename, dirname, join } from "node:path"
import { afterAll, assert, beforeAll, describe, it, onTestFinished } from "@effect/vitest"
import { version } from "../../src/stratix-gateway/runtime/Version.js"
import { buildProgram } from "../stratix-cli/support/build.js"

const manifest = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"))

/** The package as `npm start` needs it: its own "start", and the gateway where it says. */
const folder = mkdtempSync(join(tmpdir(), "stratix-start-"))
beforeAll(async () => {
  const { name, scripts } = manifest
  writeFileSync(
    join(folder, "package.json"),
    JSON.stringify({ name, type: "module", scripts: { start: scripts.start } })
  )
  const program = await buildProgram("stratix-gateway")
  const target = join(folder, "dist", "stratix-gateway")
  cpSync(dirname(program), target, { recursive: true })
  renameSync(join(target, basename(program)), join(target, "main.js"))
}, 60_000)
afterAll(() => rmSync(folder, { recursive: true }))

describe("npm start", () => {
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP", "SIGKILL"] as const) {
    it(`leaves no gateway behind when npm gets ${signal}: it drains and says that it stopped`, async () => {
      const npm = spawn("npm", ["start"], {
        cwd: folder,
        // A group of their own: the signal reaches npm only, and what is left can be ended with it.
        detached: true,
        env: { ...process.env, STRATIX_PORT: "0", STRATIX_LOG_FORMAT: "logfmt", npm_config_update_notifier: "false" },
        stdio: ["ignore", "pipe", "inherit"]
      })
      onTestFinished(() => {
        try {
          process.kill(-(npm.pid ?? Number.NaN), "SIGKILL")
        } catch {
          // As it should be: none of them is left.
        }
      })
      let output = ""
      const ready = new Promise<void>((resolve) => {
        npm.stdout.on("data", (text: Buffer) => {
          output += text.toString()
          if (output.includes(" ready on ")) resolve()
        })
      })
      // Not before the gateway, too, has closed the output that it inherited.
      const closed = once(npm, "close")
      await ready
      npm.kill(signal)
      await closed
      assert.include(output, "Stratix gateway stopped")
    }, 60_000)
  }
})

describe("the version of the gateway", () => {
  it("is that of the package", () => assert.strictEqual(version, manifest.version))
})
