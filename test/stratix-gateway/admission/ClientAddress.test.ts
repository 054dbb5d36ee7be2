import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as ClientAddress from "../../../src/stratix-gateway/admission/ClientAddress.js"
import * as IpAddress from "../../../src/stratix-gateway/runtime/IpAddress.js"

const proxies = IpAddress.networkList(["127.0.0.1", "10.0.0.0/8", "fd00::/8"])
const of = (peer: string, forwardedFor?: string) => ClientAddress.of(peer, forwardedFor, proxies)

describe("the client's address", () => {
  it("is the peer's where the peer is not a trusted proxy, whatever it says", () => {
    assert.strictEqual(of("203.0.113.7", "198.51.100.1"), "203.0.113.7")
    assert.strictEqual(ClientAddress.of("127.0.0.1", "198.51.100.1", IpAddress.networkList([])), "127.0.0.1")
  })

  it("is the rightmost one that no trusted proxy has: what stands left of it was written by the client", () => {
    assert.strictEqual(of("127.0.0.1", "198.51.100.1"), "198.51.100.1")
    assert.strictEqual(of("127.0.0.1", "1.1.1.1, 198.51.100.1, 10.2.3.4"), "198.51.100.1")
    assert.strictEqual(of("fd00::1", "1.1.1.1,2001:db8::5"), "2001:db8::5")
  })

  it("is the leftmost one where all are trusted, and the peer where nothing is said", () => {
    assert.strictEqual(of("127.0.0.1", "10.0.0.1, 10.0.0.2"), "10.0.0.1")
    assert.strictEqual(of("127.0.0.1"), "127.0.0.1")
    assert.strictEqual(of("127.0.0.1", ""), "127.0.0.1")
  })

  it("is the last trusted proxy where that wrote what is no address", () => {
    assert.strictEqual(of("127.0.0.1", "198.51.100.1, unknown"), "127.0.0.1")
    assert.strictEqual(of("127.0.0.1", "198.51.100.1, <script>, 10.0.0.9"), "10.0.0.9")
  })

  it("is the same in every way it can be written", () => {
    assert.strictEqual(of("::ffff:127.0.0.1", "198.51.100.1:4711"), "198.51.100.1")
    assert.strictEqual(of("127.0.0.1", "[2001:DB8::5]:4711"), "2001:db8::5")
    assert.strictEqual(of("::FFFF:203.0.113.7"), "203.0.113.7")
    assert.strictEqual(of("fe80::1%eth0"), "fe80::1")
  })

  it("never fails, and never believes a peer that is not trusted", () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (peer, header) => {
        assert.isString(of("127.0.0.1", header))
        assert.isString(of(peer, header))
        assert.strictEqual(of("203.0.113.7", header), "203.0.113.7")
      })
    )
  })

  it("counts an IPv4 address for itself, an IPv6 address for its /64", () => {
    assert.strictEqual(IpAddress.network("203.0.113.7"), "203.0.113.7")
    assert.strictEqual(IpAddress.network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64")
    assert.strictEqual(IpAddress.network("2001:db8:1:2::9"), "2001:db8:1:2::/64")
    assert.strictEqual(IpAddress.network("2001:0DB8:0001:0002::"), "2001:db8:1:2::/64")
    assert.strictEqual(IpAddress.network("::1"), "0:0:0:0::/64")
    assert.strictEqual(IpAddress.network("2001:db8::1"), "2001:db8:0:0::/64")
    assert.strictEqual(IpAddress.network("not an address"), "not an address")
  })

  it("takes addresses and networks for trusted proxies, and nothing else", () => {
    for (const good of ["127.0.0.1", "10.0.0.0/8", "::1", "fd00::/8", "0.0.0.0/0"])
      assert.isTrue(IpAddress.isNetwork(good), good)
    for (const bad of [
      "",
      "localhost",
      "10.0.0.0/33",
      "::/129",
      "10.0.0.0/",
      "10.0.0.0/-1",
      "10.0.0/8",
      "10.0.0.0/8/8"
    ]) {
      assert.isFalse(IpAddress.isNetwork(bad), bad)
    }
  })
})
