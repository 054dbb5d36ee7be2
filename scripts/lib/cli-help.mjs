// @ts-check
/** The help of the command line in docs/cli.md, made of what the program itself says. */

const BLOCK = /(<!-- help:(.*?)made by `npm run docs` -->\n).*?(<!-- \/help -->)/gs

/** The commands whose help the page has; "" is the program itself.
 * @type {(page: string) => ReadonlyArray<string>} */
export const commandsIn = (page) => [...page.matchAll(BLOCK)].map(([, , command = ""]) => command.trim())

/** The page with this help where its help is.
 * @type {(page: string, help: ReadonlyMap<string, string>) => string} */
export const withHelp = (page, help) =>
  page.replaceAll(BLOCK, (_all, begin, command, end) => {
    const text = help.get(command.trim())
    if (text === undefined) throw new Error(`no help was given for "${command.trim()}"`)
    const line = ["stratix-status-sync", command.trim(), "--help"].filter((word) => word !== "").join(" ")
    return `${begin}\n\`\`\`console\n$ ${line}\n${text.trim()}\n\`\`\`\n\n${end}`
  })
