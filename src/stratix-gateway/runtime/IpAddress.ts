/**
 * IP addresses and networks: parsing, matching, and what counts as this machine.
 */
import * as Net from "node:net"

/** Whether a host name, with or without brackets, means this machine itself. */
export const isLoopback = (hostname: string): boolean => {
  const name = hostname.toLowerCase().replace(/^\[|\]$/g, "")
  return (
    name === "localhost" || name.endsWith(".localhost") || name === "::1" || /^(::ffff:)?127(\.\d{1,3}){3}$/.test(name)
  )
}

type Family = "ipv4" | "ipv6"

const familyOf = (address: string): Family | undefined => {
  const version = Net.isIP(address)
  return version === 4 ? "ipv4" : version === 6 ? "ipv6" : undefined
}

interface Network {
  readonly address: string
  readonly prefix: number
  readonly family: Family
}

const parseNetwork = (text: string): Network | undefined => {
  const cut = text.indexOf("/")
  const address = cut === -1 ? text : text.slice(0, cut)
  const family = familyOf(address)
  if (family === undefined) return undefined
  const longest = family === "ipv4" ? 32 : 128
  if (cut === -1) return { address, prefix: longest, family }
  const digits = text.slice(cut + 1)
  const prefix = /^\d{1,3}$/.test(digits) ? Number(digits) : Number.POSITIVE_INFINITY
  return prefix <= longest ? { address, prefix, family } : undefined
}

/** Whether this is an address, or a network like `10.0.0.0/8` or `fd00::/8`. */
export const isNetwork = (text: string): boolean => parseNetwork(text) !== undefined

/** The addresses of trusted proxies. */
export interface NetworkList {
  readonly includes: (address: string) => boolean
}

/** Ignores entries that are neither an address nor a network: the settings have been checked for them. */
export const networkList = (networks: ReadonlyArray<string>): NetworkList => {
  const list = new Net.BlockList()
  for (const text of networks) {
    const network = parseNetwork(text)
    if (network !== undefined) list.addSubnet(network.address, network.prefix, network.family)
  }
  return {
    includes: (address) => {
      const family = familyOf(address)
      return family !== undefined && list.check(address, family)
    }
  }
}

const MAPPED = "::ffff:"

/** The plain form of an address: without zone, port and brackets, and IPv4 in IPv6 (`::ffff:192.0.2.1`, as a dual-stack socket reports it) as IPv4; `undefined` if it is not an address. */
export const parse = (text: string): string | undefined => {
  if (Net.isIPv4(text)) return text
  const bare = /^\[([^\]]*)\](?::\d+)?$/.exec(text)?.[1] ?? /^(\d+(?:\.\d+){3}):\d+$/.exec(text)?.[1] ?? text
  const address = bare.split("%", 1)[0] ?? bare
  if (familyOf(address) === undefined) return undefined
  const lower = address.toLowerCase()
  const inner = lower.startsWith(MAPPED) ? lower.slice(MAPPED.length) : lower
  return Net.isIPv4(inner) ? inner : lower
}

/** The unit that limits per address count by: an IPv4 address itself, or the /64 of an IPv6 address, which is what a single host is given. */
export const network = (address: string): string => {
  if (!Net.isIPv6(address)) return address
  // The URL parser writes an address out in one way only: hexadecimal groups, the longest run of zeros as "::".
  const [left = "", right] = new URL(`http://[${address}]`).hostname.slice(1, -1).split("::")
  const groups = left === "" ? [] : left.split(":")
  const tail = right === undefined || right === "" ? [] : right.split(":")
  while (right !== undefined && groups.length + tail.length < 8) groups.push("0")
  return `${[...groups, ...tail].slice(0, 4).join(":")}::/64`
}
