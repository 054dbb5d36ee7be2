/**
 * What was probably meant by a word that is not known. Not `AutoCorrect` of `@effect/cli`: the library must not bring the command line's needs.
 */

/** More edits than this make another word, not a slip. */
const MAX_SLIPS = 3

/** How many letters must be added, left out or replaced to make one text of the other (Levenshtein). */
const editsBetween = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (const [i, letter] of [...a].entries()) {
    let left = i + 1
    row = row.map((above, j) => {
      if (j === 0) return left
      const diagonal = row[j - 1] ?? 0
      left = Math.min(above + 1, left + 1, diagonal + (letter === b[j - 1] ? 0 : 1))
      return left
    })
  }
  return row[b.length] ?? 0
}

/** The known word that is fewest slips away; `undefined` where all are too far. */
export const nearest = (word: string, known: Iterable<string>): string | undefined =>
  [...known]
    .map((each) => ({ each, slips: editsBetween(word, each) }))
    .filter(({ each, slips }) => slips <= MAX_SLIPS && slips < each.length)
    .sort((a, b) => a.slips - b.slips)[0]?.each
