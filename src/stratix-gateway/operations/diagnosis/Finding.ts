/**
 * What is found wrong, or worth a look: by `doctor` before a gateway starts, by the gateway about itself.
 */

/** `problem`: it cannot work, or must not be run, like this. `warning`: worth a look. */
export interface Finding {
  readonly level: "ok" | "warning" | "problem"
  readonly about: string
  readonly what: string
  /** What would be right. */
  readonly instead?: string
}

export const ok = (about: string, what: string): Finding => ({ level: "ok", about, what })

export const warning = (about: string, what: string, instead: string): Finding => ({
  level: "warning",
  about,
  what,
  instead
})

export const problem = (about: string, what: string, instead?: string): Finding => ({
  level: "problem",
  about,
  what,
  ...(instead !== undefined && { instead })
})
