/**
 * The version of this package, as in its package.json. Not read from there: a bundle has no such file.
 */
export const version = "0.1.0"
