/** Assertions of the suites, which bring no library of their own. */
import * as Assert from "node:assert/strict"

export const strictEqual: <A>(actual: unknown, expected: A, message?: string) => void = Assert.strictEqual

export const deepStrictEqual: (actual: unknown, expected: unknown) => void = Assert.deepStrictEqual

export const notDeepEqual: (actual: unknown, expected: unknown) => void = Assert.notDeepStrictEqual

export const match: (actual: string, expected: RegExp) => void = Assert.match

export const isTrue = (actual: unknown): void => Assert.strictEqual(actual, true)

export const isFalse = (actual: unknown): void => Assert.strictEqual(actual, false)

export const isUndefined = (actual: unknown): void => Assert.strictEqual(actual, undefined)

export const isAbove = (actual: number, bound: number): void => Assert.ok(actual > bound, `${actual} > ${bound}`)

export const isAtMost = (actual: number, bound: number): void => Assert.ok(actual <= bound, `${actual} <= ${bound}`)

/** The same elements in any order. */
export const sameMembers = (actual: ReadonlyArray<number>, expected: ReadonlyArray<number>): void =>
  Assert.deepStrictEqual([...actual].sort(), [...expected].sort())

/** An object with these fields, among others. */
export const deepInclude = (actual: unknown, expected: object): void => {
  const fields = Object.keys(expected).map((key) => [key, Reflect.get(Object(actual), key)])
  Assert.deepStrictEqual(Object.fromEntries(fields), expected)
}
