import { readFile } from "node:fs/promises"
import { assert, describe, it } from "@effect/vitest"
import { StatusSyncConfig } from "stratix-status-sync"
import { knobsTable, withKnobsTable } from "../../scripts/lib/knobs-table.mjs"

describe("docs/configuration.md", () => {
  it("lists every knob with its default, unit, bounds and meaning", async () => {
    const page = await readFile(new URL("../../docs/configuration.md", import.meta.url), "utf8")
    const current = withKnobsTable(page, knobsTable(StatusSyncConfig.knobs))
    assert.isTrue(page === current, "the table of knobs is out of date: run `npm run docs` and commit the page")
  })
})
