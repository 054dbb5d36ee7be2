/**
 * Where a request comes from: the address that limits are counted by and logs name.
 *
 * @since 0.1.0
 */
import * as IpAddress from "../runtime/IpAddress.js"

/**
 * The client: the peer itself, or, where the peer is a trusted proxy, the rightmost address of `X-Forwarded-For` that is not one.
 * What stands to the left of that was written by the client and means nothing. Where an entry is no address, the proxy that wrote it is the client.
 *
 * @since 0.1.0
 * @category constructors
 */
export const of = (peer: string, forwardedFor: string | undefined, proxies: IpAddress.NetworkList): string => {
  let client = IpAddress.parse(peer) ?? peer
  const hops = forwardedFor === undefined ? [] : forwardedFor.split(",")
  for (let i = hops.length - 1; i >= 0 && proxies.includes(client); i--) {
    const hop = IpAddress.parse((hops[i] ?? "").trim())
    if (hop === undefined) break
    client = hop
  }
  return client
}
