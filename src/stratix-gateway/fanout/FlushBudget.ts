/** How much one flush does; what is above is given in steps, as to those who are behind. Counted in bytes and not by a clock, so that what is cut does not depend on the machine. */

/** Bytes of frames made in one turn of the event loop, connections of a group sharing theirs: some 2 ms of work, and up to 10 ms where a virtual machine gets each page of new memory from its host. Lone events stay far below it. */
export const TURN_BYTES = 1024 * 1024

/** Bytes for one connection, above which a flush writes at most `MAX_WRITTEN` bytes in all: smaller ones cost less than a catch-up, and 16 MiB are copied in some 10 ms. */
export const LARGE = 64 * 1024
export const MAX_WRITTEN = 16 * 1024 * 1024

/** What the bytes of a group cost besides their number, in bytes: with it, a turn serves at most some 500 different filters, at some 30 to 60 µs for the write of each. */
export const GROUP_COST = 2048
