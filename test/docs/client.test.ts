import { readFile } from "node:fs/promises"
import { assert, describe, it } from "@effect/vitest"

const read = (name: string) => readFile(new URL(`../../${name}`, import.meta.url), "utf8")
const page = await read("docs/client.md")

/** The text of a declaration, from its first words to the line that ends it. */
const declaration = (source: string, begin: string, end: string): string => {
  const from = source.indexOf(begin)
  const to = source.indexOf(end, from)
  if (from < 0 || to < 0) throw new Error(`there is no "${begin}" any more`)
  return source.slice(from, to)
}

const fields = (text: string) => [...text.matchAll(/^ +readonly (\w+)\??:/gm)].map(([, name]) => name ?? "")
const literals = (text: string) => [...text.matchAll(/"([\w-]+)"/g)].map(([, value]) => value ?? "")

describe("docs/client.md", () => {
  it("names every option and member, every state and every reason", async () => {
    const client = await read("src/stratix-client/StatusClientApi.ts")
    const stream = await read("src/stratix-client/StatusStream.ts")
    const freshness = await read("src/stratix-client/freshness/Freshness.ts")
    const error = await read("src/stratix-client/StatusClientError.ts")
    const names = [
      fields(declaration(client, "export interface StatusClientOptions", "\n}")),
      fields(declaration(client, "export interface StatusClient extends", "\n}")),
      fields(declaration(await read("src/stratix-client/StatusState.ts"), "export interface StatusState", "\n}")),
      fields(declaration(stream, "export interface Options<", "\n}")),
      fields(declaration(stream, "export class StatusStream extends", ">() {}")),
      literals(declaration(stream, "reason: Schema.Literal(", ")")),
      literals(declaration(freshness, "export type ClosedReason", "\n\n")),
      literals(declaration(freshness, "export type Freshness", "| Closed")),
      literals(declaration(error, "readonly reason:", ",\n"))
    ]
    for (const some of names) {
      assert.isAbove(some.length, 1, some.join())
      for (const name of some) assert.match(page, new RegExp(`\`(state\\.|")?${name}\\b`), name)
    }
  })

  it("says the defaults that are in the source", async () => {
    const sources = ["StatusClient.ts", "connection/Connector.ts"].map((name) => read(`src/stratix-client/${name}`))
    const defaults = [...(await Promise.all(sources)).join().matchAll(/\b(\w+Ms)(?:: \w+)? = ([\d_]+)/g)]
    assert.isAtLeast(defaults.length, 4)
    for (const [, name, value] of defaults) {
      const shown = Number(value?.replaceAll("_", "")).toLocaleString("en")
      assert.match(page, new RegExp(`\\| \`${name}\` +\\| ${shown} `), name)
    }
  })

  it("leads only to parts and pages that are there", async () => {
    const parts = new Set(
      [...page.matchAll(/^## (.+)$/gm)].map(([, title]) => `#${title?.toLowerCase().replaceAll(" ", "-")}`)
    )
    const links = [...page.matchAll(/\]\(([^)]+)\)/g)].map(([, target]) => target ?? "")
    assert.isNotEmpty(links)
    for (const target of links) {
      if (target.startsWith("#")) assert.isTrue(parts.has(target), target)
      else await read(`docs/${target}`)
    }
  })
})
