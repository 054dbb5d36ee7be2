/** The Chinese pages say what the English ones say: the same sections, the same code, the same tables, the same links. */
import { readFileSync } from "node:fs"
import { assert, describe, it } from "vitest"

const read = (name: string) => readFileSync(new URL(`../../${name}`, import.meta.url), "utf8")

const BLOCK = /^```.*?^```$/gms

/** What must be equal in both languages. */
const shapeOf = (page: string) => {
  const prose = page.replaceAll(BLOCK, "")
  return {
    headings: [...prose.matchAll(/^(#+) /gm)].map(([, level]) => level),
    code: page.match(BLOCK) ?? [],
    rows: [...prose.matchAll(/^\|.*\|$/gm)].map(([row]) => row.split(/(?<!\\)\|/).length),
    lists: prose.match(/^- /gm)?.length ?? 0,
    // In prose, Chinese may name a thing twice or not at all; in tables, the first column is what it is about.
    names: [...prose.matchAll(/^\| (`[^|]*?) *\|/gm)].map(([, name = ""]) => name.replaceAll("、", ", "))
  }
}

/** Links to other places than headings and the page in the other language; what is translated is linked in its translation. */
const linksOf = (page: string) =>
  [...page.matchAll(/\]\(([^)#][^)]*)\)/g)]
    .map(([, target = ""]) => target.replace(".zh-CN.md", ".md"))
    .filter((target) => !/^(README|client)\.md$/.test(target))
    .sort()

describe("the Chinese pages", () => {
  for (const name of ["README", "docs/client"]) {
    it(`${name}.zh-CN.md is in step with ${name}.md`, () => {
      const english = read(`${name}.md`)
      const chinese = read(`${name}.zh-CN.md`)
      assert.deepStrictEqual(shapeOf(chinese), shapeOf(english))
      assert.deepStrictEqual(linksOf(chinese), linksOf(english))
    })

    it(`${name}.zh-CN.md links to headings that it has`, () => {
      const page = read(`${name}.zh-CN.md`)
      const anchors = [...page.matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) =>
        heading.toLowerCase().replaceAll(" ", "-")
      )
      for (const [, anchor = ""] of page.matchAll(/\]\(#([^)]+)\)/g)) assert.include(anchors, anchor)
    })
  }
})
