/** Nanoseconds of the machine's monotonic clock as a number (exact for 104 days of uptime). Bun's starts at 0 with its process. */
export const now = () => Number(process.hrtime.bigint())

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
