import { readdirSync, readFileSync } from "node:fs"
import { dirname, join, posix, sep } from "node:path"

/** A source file by its path below the folder that was asked about, with `/` in it. */
export interface SourceFile {
  readonly path: string
  readonly text: string
}

/** All TypeScript below a folder. */
export const sourceFiles = (folder: string): ReadonlyArray<SourceFile> =>
  readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => /\.tsx?$/.test(name))
    .sort()
    .map((name) => ({ path: name.split(sep).join("/"), text: readFileSync(join(folder, name), "utf8") }))

/** What each package of `src` may import besides itself. */
const packages: Readonly<Record<string, ReadonlyArray<string>>> = {
  "stratix-core": [],
  "stratix-client": ["stratix-core"],
  "stratix-hooks": ["stratix-core", "stratix-client"],
  "stratix-publisher": ["stratix-core"],
  "stratix-gateway": ["stratix-core"],
  "stratix-testing": ["stratix-core", "stratix-gateway"],
  "stratix-cli": ["stratix-core", "stratix-client", "stratix-publisher", "stratix-gateway"],
  "stratix-dashboard": ["stratix-core", "stratix-client", "stratix-publisher"]
}

/** The rooms of the gateway: each imports only those before it. The files at its root wire them together and come last. */
const rooms = [
  "runtime",
  "channel",
  "config",
  "telemetry",
  "log",
  "transport",
  "fanout",
  "auth",
  "admission",
  "api/websocket",
  "operations",
  "api/http",
  "workers"
]

/** The rank of a file of the gateway; undefined in a room that has none. */
const rank = (path: string): number | undefined => {
  const inside = path.slice("stratix-gateway/".length)
  if (!inside.includes("/")) return rooms.length
  const at = rooms.findIndex((room) => inside.startsWith(`${room}/`))
  return at === -1 ? undefined : at
}

/** Relative imports and re-exports, types included, as paths of files. */
const importsOf = ({ path, text }: SourceFile): ReadonlyArray<string> =>
  [...text.matchAll(/^(?:import|export)\b[^"]*?from "(\.[^"]+)"|^import "(\.[^"]+)"|\bimport\("(\.[^"]+)"\)/gm)].map(
    ([, from, bare, dynamic]) => posix.join(posix.dirname(path), from ?? bare ?? dynamic ?? "")
  )

/** Every import that goes up instead of down. */
export const upwardImports = (files: ReadonlyArray<SourceFile>): ReadonlyArray<string> =>
  files.flatMap((file) => {
    const [from = ""] = file.path.split("/")
    const allowed = packages[from]
    if (allowed === undefined) return [`${file.path} is in no package that test/project/house.ts knows`]
    const own = from === "stratix-gateway" ? rank(file.path) : 0
    if (own === undefined) return [`${file.path} is in no room that test/project/house.ts knows`]
    return importsOf(file).flatMap((target) => {
      const [to = ""] = target.split("/")
      const isAllowed =
        to === from ? from !== "stratix-gateway" || (rank(target) ?? rooms.length) <= own : allowed.includes(to)
      return isAllowed ? [] : [`${file.path} imports ${target}`]
    })
  })

/** Folders with more files than this. */
export const crowdedFolders = (files: ReadonlyArray<SourceFile>, most: number): ReadonlyArray<string> => {
  const counts = new Map<string, number>()
  for (const { path } of files) counts.set(dirname(path), (counts.get(dirname(path)) ?? 0) + 1)
  return [...counts].flatMap(([folder, count]) => (count > most ? [`${folder} has ${count} files`] : []))
}

const linesIn = (text: string): number => text.split("\n").length - (text.endsWith("\n") ? 1 : 0)

/** Files with more lines than this. */
export const longFiles = (files: ReadonlyArray<SourceFile>, most: number): ReadonlyArray<string> =>
  files.flatMap(({ path, text }) => (linesIn(text) > most ? [`${path} has ${linesIn(text)} lines`] : []))

/** Names with `unsafe` in them, per 1,000 lines. */
export const unsafeDensity = (files: ReadonlyArray<SourceFile>): number => {
  const names = files.reduce((sum, { text }) => sum + (text.match(/unsafe/gi)?.length ?? 0), 0)
  return (names * 1000) / files.reduce((sum, { text }) => sum + linesIn(text), 0)
}

/** Tests that can start another program, by what they import, and are not named end-to-end. */
export const unmarkedPrograms = (files: ReadonlyArray<SourceFile>): ReadonlyArray<string> => {
  const byPath = new Map(files.map((file) => [file.path, file]))
  const reached = new Set<string>()
  const starts = (file: SourceFile): boolean => {
    if (reached.has(file.path)) return false
    reached.add(file.path)
    return (
      /^import (?!type).*"(?:node:child_process|playwright-core)"$/m.test(file.text) ||
      importsOf(file).some((target) => {
        const next = byPath.get(target.replace(/\.js$/, ".ts"))
        return next !== undefined && starts(next)
      })
    )
  }
  return files.flatMap((file) => {
    reached.clear()
    return /(?<!\.e2e|\.install)\.test\.ts$/.test(file.path) && starts(file) ? [file.path] : []
  })
}
