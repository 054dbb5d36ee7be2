/** How much one flush does; what is above is given in steps, as to those who are behind. Counted in bytes and not by a clock, so that what is cut does not depend on the machine. */

/** Bytes of frames made in one flush, connections of a group sharing theirs: some 5 ms of work. Lone events stay far below it. */
export const FLUSH_BYTES = 4 * 1024 * 1024

/** Bytes for one connection, above which a flush writes at most `MAX_WRITTEN` bytes in all: smaller ones cost less than a catch-up, and 16 MiB are copied in some 10 ms. */
export const LARGE = 64 * 1024
export const MAX_WRITTEN = 16 * 1024 * 1024

/** What the bytes of a group cost besides their number, in bytes: a flush for thousands of different filters is cut, too, by what it does and not by a clock, so that what is cut does not depend on the machine. */
export const GROUP_COST = 4 * 1024
