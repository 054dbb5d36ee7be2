/**
 * The address of a client, as limits count it and logs name it.
 */
import * as IpAddress from "../runtime/IpAddress.js"

/**
 * The client: the peer itself, or, where the peer is a trusted proxy, the rightmost address of `X-Forwarded-For` that is not one.
 * Entries to the left of that were written by the client and mean nothing. If an entry is not an address, the proxy that wrote it counts as the client.
 */
export const of = (peer: string, forwardedFor: string | undefined, proxies: IpAddress.NetworkList): string => {
  let client = IpAddress.parse(peer) ?? peer
  if (forwardedFor === undefined) return client
  for (const entry of forwardedFor.split(",").reverse()) {
    const hop = proxies.includes(client) ? IpAddress.parse(entry.trim()) : undefined
    if (hop === undefined) break
    client = hop
  }
  return client
}
