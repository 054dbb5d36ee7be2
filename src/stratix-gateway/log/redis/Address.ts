/**
 * Where Redis is: a URL, as operators write it.
 */
import * as Either from "effect/Either"

/** A host and its port. */
export interface HostAndPort {
  readonly host: string
  readonly port: number
}

/** One Redis, or one that Sentinels name. */
export interface Address {
  /** The Redis itself, or its Sentinels. */
  readonly hosts: ReadonlyArray<HostAndPort>
  /** What the Sentinels call it; `undefined` without Sentinel. */
  readonly master: string | undefined
  readonly tls: boolean
  readonly username: string | undefined
  readonly password: string | undefined
  readonly database: number
}

const FORM =
  "must be redis://[user:password@]host[:port][/database], rediss:// for TLS, or redis+sentinel://[user:password@]host[:port][,host…]/name[/database]"

const REDIS_PORT = 6379
const SENTINEL_PORT = 26_379

const hostOf = (text: string, port: number): HostAndPort | undefined => {
  const [, host, given] = /^(\[[0-9a-f:.]+\]|[^:[\]]+)(?::(\d{1,5}))?$/i.exec(text) ?? []
  return host === undefined
    ? undefined
    : { host: host.replace(/^\[|\]$/g, ""), port: given === undefined ? port : Number(given) }
}

const decoded = (text: string | undefined): string | undefined => {
  if (text === undefined || text === "") return undefined
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** Reads the URL. The left side says what it must be, and never what it is: it may have a password. */
export const parse = (url: string): Either.Either<Address, string> => {
  const [, s, sentinel, userInfo, list = "", path = ""] =
    /^redis(s?)(\+sentinel)?:\/\/(?:([^@/]*)@)?([^/?#]*)(?:\/([^?#]*))?$/.exec(url) ?? []
  if (s === undefined) return Either.left(FORM)
  const hosts: Array<HostAndPort> = []
  for (const text of list.split(",")) {
    const host = hostOf(text === "" ? "127.0.0.1" : text, sentinel === undefined ? REDIS_PORT : SENTINEL_PORT)
    if (host === undefined || host.port < 1 || host.port > 65_535) return Either.left(FORM)
    hosts.push(host)
  }
  if (sentinel === undefined && hosts.length > 1) return Either.left(FORM)
  const parts = path === "" ? [] : path.split("/")
  const master = sentinel === undefined ? undefined : parts.shift()
  const [database = "0", ...rest] = parts
  if (rest.length > 0 || !/^\d+$/.test(database) || (sentinel !== undefined && !master)) return Either.left(FORM)
  const [username, ...password] = userInfo?.split(":") ?? []
  return Either.right({
    hosts,
    master: decoded(master),
    tls: s === "s",
    username: decoded(username),
    password: decoded(password.join(":")),
    database: Number(database)
  })
}

/** For people: without user and password. */
export const describe = ({ hosts, master }: Address): string => {
  const list = hosts.map(({ host, port }) => `${host.includes(":") ? `[${host}]` : host}:${port}`).join(", ")
  return master === undefined ? `Redis at ${list}` : `Redis ${master} of the Sentinels at ${list}`
}
