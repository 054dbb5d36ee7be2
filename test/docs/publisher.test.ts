import { readFile } from "node:fs/promises"
import { assert, describe, it } from "@effect/vitest"

const read = (name: string) => readFile(new URL(`../../${name}`, import.meta.url), "utf8")
const page = await read("docs/publisher.md")
const api = await read("src/stratix-publisher/PublisherApi.ts")

/** The text of a declaration, from its first words to the line that ends it. */
const declaration = (begin: string, end: string): string => {
  const from = api.indexOf(begin)
  const to = api.indexOf(end, from)
  if (from < 0 || to < 0) throw new Error(`there is no "${begin}" any more`)
  return api.slice(from, to)
}

describe("docs/publisher.md", () => {
  it("names every option, member and problem", () => {
    for (const name of ["PublisherOptions", "Publisher", "PublishedAgent", "AgentOptions", "CommandDetails"]) {
      const fields = [...declaration(`export interface ${name} {`, "\n}").matchAll(/^ {2}readonly (\w+)\??:/gm)]
      assert.isNotEmpty(fields)
      for (const [, field = ""] of fields) assert.match(page, new RegExp(`\\b${field}\\b`), `${name}.${field}`)
    }
    const tags = [...declaration("export type PublisherProblem", "\n\n").matchAll(/_tag: "(\w+)"/g)]
    for (const [, tag = ""] of tags) assert.include(page, `| \`${tag}\` `)
  })

  it("says the defaults that are in the source", async () => {
    const source = await read("src/stratix-publisher/Publisher.ts")
    const of = (name: string) => Number(new RegExp(`const ${name} = ([\\d_]+)`).exec(source)?.[1]?.replaceAll("_", ""))
    const shown = (value: number) => value.toLocaleString("en")
    assert.match(page, new RegExp(`\\| \`leaseMs\` +\\| ${shown(of("DEFAULT_LEASE"))} `))
    assert.match(page, new RegExp(`\\| \`maxPending\` +\\| ${shown(of("DEFAULT_PENDING"))} `))
    assert.include(page, `${of("CLOSING_TIME") / 1000} s by default`)
  })
})
