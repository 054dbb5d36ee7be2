/** What is shown, as the address of the page has it: a wall screen is a link. */
import { type Language, preferred } from "./strings.js"

/** The parts of the page beside the field. */
export const tabs = ["commands", "feed", "connections"] as const

/** A part of the page beside the field. */
export type Tab = (typeof tabs)[number]

/** Agents that an address names at the most: with ids as long as they may be it stays below what servers take, 64 KiB with encoding. */
const MAX_SELECTED = 64

/** What is shown. */
export interface Place {
  readonly language: Language
  readonly status: string
  readonly command: string
  readonly search: string
  readonly feedSearch: string
  /** Ids of the selected agents. */
  readonly selected: ReadonlyArray<string>
  readonly tab: Tab
}

/** The place of an address. */
export const read = (search: string, tags: ReadonlyArray<string>): Place => {
  const query = new URLSearchParams(search)
  const text = (name: string) => query.get(name) ?? ""
  const language = text("lang")
  return {
    language: language === "zh" || language === "en" ? language : preferred(tags),
    status: text("status"),
    command: text("command"),
    search: text("q"),
    feedSearch: text("feed"),
    selected: query.getAll("agent").slice(0, MAX_SELECTED),
    tab: tabs.find((tab) => tab === text("tab")) ?? "commands"
  }
}

/** The query string of a place; what is as it is by default is left out. */
export const write = (place: Place, tags: ReadonlyArray<string>): string => {
  const query = new URLSearchParams()
  const add = (name: string, value: string, fallback = "") => {
    if (value !== fallback) query.set(name, value)
  }
  add("lang", place.language, preferred(tags))
  add("status", place.status)
  add("command", place.command)
  add("q", place.search)
  add("feed", place.feedSearch)
  for (const id of place.selected.slice(0, MAX_SELECTED)) query.append("agent", id)
  add("tab", place.tab, "commands")
  const text = query.toString()
  return text === "" ? "" : `?${text}`
}
