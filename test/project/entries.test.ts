/** What the gateway's entries show: a name that is added or taken away is a decision (docs/decisions/0015). */
import { readdir, readFile } from "node:fs/promises"
import { assert, describe, it } from "@effect/vitest"
import * as Gateway from "stratix-status-sync"
import * as Internals from "stratix-status-sync/internals"

const root = new URL("../../", import.meta.url)
const read = (path: string) => readFile(new URL(path, root), "utf8")
const manifest = JSON.parse(await read("package.json"))

/** By what an author does. */
const tasks = {
  publish: ["StatusSync", "StatusEvent", "DeclaredEvents"],
  run: ["StatusSyncServer", "StatusSyncWorkers", "StatusSyncConfig", "NodeServer", "Logging"],
  mount: ["StatusSyncService", "StatusSyncHttpServer", "StatusSyncRoutes", "GatewayHttp", "StratixApi"],
  admit: ["Authenticator", "Visibility", "Filter"],
  keep: ["EventLog", "EventLogMemory", "EventLogFile", "EventLogRedis"],
  watch: ["Connections"]
}

const documents = async () => {
  const files = await readdir(new URL("docs/", root), { recursive: true })
  const pages = files
    .filter((file) => file.endsWith(".md") && !file.startsWith("decisions"))
    .map((file) => `docs/${file}`)
  const examples = (await readdir(new URL("examples/", root))).map((file) => `examples/${file}`)
  return ["README.md", "README.zh-CN.md", ...pages, ...examples]
}

/** The packages and modules that a text imports. */
const imports = (text: string): ReadonlyArray<string> =>
  [...text.matchAll(/(?:\bfrom|\bimport|\bimport\()\s*"([^"]+)"/g)].map(([, specifier]) => specifier ?? "")

describe("the entries of the gateway", () => {
  it("the root has what an author's tasks need, and nothing else", () => {
    assert.sameMembers(Object.keys(Gateway), Object.values(tasks).flat())
  })

  it("./internals has the rest, and no part is in both", () => {
    assert.sameMembers(Object.keys(Internals), [
      "Admission",
      "Broadcast",
      "Connection",
      "Form",
      "Handshake",
      "Heartbeat",
      "Limits",
      "Metrics",
      "MetricsCollector",
      "Refusal",
      "Refusals",
      "Stamps",
      "Tenant",
      "Transport",
      "TransportWs",
      "WebSockets"
    ])
    assert.notIncludeMembers(Object.keys(Internals), Object.keys(Gateway))
  })

  it("the README, the docs and the examples import from public entries only", async () => {
    const entries = Object.keys(manifest.exports).filter((entry) => entry !== "./internals")
    const allowed = new Set(entries.map((entry) => manifest.name + entry.slice(1)))
    const strays: Array<string> = []
    let found = 0
    for (const path of await documents()) {
      for (const specifier of imports(await read(path))) {
        if (specifier.startsWith(`${manifest.name}-client`)) continue
        if (specifier.startsWith(manifest.name)) found++
        const isStray = specifier.startsWith(manifest.name) ? !allowed.has(specifier) : specifier.startsWith("..")
        if (isStray) strays.push(`${path} imports ${specifier}`)
      }
    }
    assert.isAbove(found, 0)
    assert.deepStrictEqual(strays, [])
  })
})
