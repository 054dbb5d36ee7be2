/**
 * Where the file is, and what an acknowledged event survives: a URL, as operators write it.
 */
import { fileURLToPath } from "node:url"
import * as Either from "effect/Either"

/** What an acknowledged event survives.
 *
 * `process`: that the gateway is killed. `disk`: that the machine is. */
export type Durability = "process" | "disk"

/** A file, and how it is written. */
export interface Address {
  readonly path: string
  readonly durability: Durability
}

const FORM = "must be file:PATH or file:///PATH, with ?durability=process (default) or ?durability=disk"

/** Reads the URL. The left side says what it must be. */
export const parse = (url: string): Either.Either<Address, string> => {
  const [, location, query = ""] = /^file:([^?#]+)(?:\?([^#]*))?$/.exec(url) ?? []
  if (location === undefined) return Either.left(FORM)
  const parameters = new URLSearchParams(query)
  const durability = parameters.get("durability") ?? "process"
  if (durability !== "process" && durability !== "disk") return Either.left(FORM)
  if ([...parameters.keys()].some((name) => name !== "durability")) return Either.left(FORM)
  if (!location.startsWith("//")) return Either.right({ path: location, durability })
  return Either.mapBoth(
    Either.try(() => fileURLToPath(`file:${location}`)),
    { onLeft: () => FORM, onRight: (path) => ({ path, durability }) }
  )
}
