import { execFile } from "node:child_process"
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { afterAll, assert, beforeAll, describe, it } from "vitest"

const run = promisify(execFile)

describe("deploy/stratix-status-sync.service", () => {
  let folder = ""
  let unit = ""
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "stratix-unit-"))
    unit = join(folder, "stratix-status-sync.service")
    const text = await readFile(new URL("../../deploy/stratix-status-sync.service", import.meta.url), "utf8")
    await writeFile(unit, text.replace("/usr/bin/node", process.execPath))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  it("is what systemd understands, without a warning", async () => {
    const { stderr } = await run("systemd-analyze", ["verify", unit])
    assert.strictEqual(stderr, "")
  })

  it("gives the gateway little to attack with: systemd's exposure level is OK, below 2.5", async () => {
    await run("systemd-analyze", ["security", "--offline=true", "--threshold=25", unit])
  })
})
