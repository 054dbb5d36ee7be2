import { assert, describe, it } from "@effect/vitest"
import { isAllowed } from "../../../src/stratix-gateway/admission/Origin.js"
import { isLoopback } from "../../../src/stratix-gateway/runtime/IpAddress.js"

const remote = (origin: string | undefined, host: string | undefined, allowed: ReadonlyArray<string> = []) =>
  isAllowed({ origin, host, local: false, hostListed: false }, allowed)
const local = (origin: string | undefined, host: string | undefined, allowed: ReadonlyArray<string> = []) =>
  isAllowed({ origin, host, local: true, hostListed: false }, allowed)

describe("the Origin policy", () => {
  it("lets in who is no browser", () => {
    assert.isTrue(remote(undefined, "gateway.example"))
    assert.isTrue(local(undefined, "127.0.0.1:3001"))
  })

  it("lets in pages of the host that was asked for, and of no other", () => {
    assert.isTrue(remote("https://gateway.example", "gateway.example"))
    assert.isTrue(remote("http://gateway.example:3001", "gateway.example:3001"))
    assert.isFalse(remote("https://evil.example", "gateway.example"))
    assert.isFalse(remote("http://gateway.example:8080", "gateway.example:3001"))
    assert.isFalse(remote("https://gateway.example.evil.example", "gateway.example"))
    assert.isFalse(remote("https://evil-gateway.example", "gateway.example"))
  })

  it("lets in pages of this machine, where the gateway is reached as this machine", () => {
    assert.isTrue(local("http://localhost:5173", "127.0.0.1:3001"))
    assert.isTrue(local("http://[::1]:5173", "localhost:3001"))
    assert.isTrue(local("http://app.localhost:5173", "localhost:3001"))
    assert.isFalse(remote("http://localhost:5173", "gateway.example"))
    // Through a forwarded port the request comes from elsewhere, and asks for this machine.
    assert.isTrue(remote("http://localhost:5173", "localhost:3001"))
    const listed = { host: "gateway.example", local: true, hostListed: true }
    assert.isTrue(isAllowed({ ...listed, origin: "http://localhost:5173" }, []))
    assert.isTrue(isAllowed({ ...listed, origin: "https://gateway.example" }, []))
    assert.isFalse(isAllowed({ ...listed, origin: "https://evil.example" }, []))
  })

  it("is not fooled by names that look like this machine's", () => {
    for (const origin of [
      "http://localhost.evil.example",
      "http://127.0.0.1.evil.example",
      "http://evil.example#localhost"
    ]) {
      assert.isFalse(local(origin, "localhost:3001"), origin)
    }
    for (const name of ["localhost.", "127.0.0.1.", "0.0.0.0", "128.0.0.1", "::2", "1::1"])
      assert.isFalse(isLoopback(name), name)
  })

  it("refuses a name that was pointed at this machine (DNS rebinding)", () => {
    assert.isFalse(local("http://evil.example:3001", "evil.example:3001"))
    assert.isFalse(local("http://0.0.0.0:3001", "0.0.0.0:3001"))
  })

  it("refuses what is no origin: sandboxed frames, files, junk", () => {
    for (const origin of ["null", "file://", "", "https://", "data:text/html,x", "javascript:0", "\u0000"]) {
      assert.isFalse(remote(origin, "gateway.example"), origin)
      assert.isFalse(local(origin, "localhost:3001"), origin)
    }
    for (const origin of ["https://gateway.example", "https://undefined"]) assert.isFalse(remote(origin, undefined))
    assert.isFalse(remote("file://", ""))
  })

  it("lets in what is listed, to the letter but for its case; * lets in all", () => {
    assert.isTrue(remote("https://Dash.example", "gateway.example", ["https://dash.example"]))
    assert.isFalse(remote("http://dash.example", "gateway.example", ["https://dash.example"]))
    assert.isFalse(remote("https://dash.example:8443", "gateway.example", ["https://dash.example"]))
    assert.isTrue(remote("null", "gateway.example", ["*"]))
  })
})
