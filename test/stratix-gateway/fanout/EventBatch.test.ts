import { assert, describe, it } from "@effect/vitest"
import * as EventBatch from "../../../src/stratix-gateway/fanout/EventBatch.js"
import type { EventLog } from "../../../src/stratix-gateway/index.js"
import * as Frame from "../../../src/stratix-gateway/transport/Frame.js"
import { draft } from "../../support/draft.js"

const entry = (json: string, offset = "h1"): EventLog.LogEntry => ({
  ...draft({ json }),
  offset,
  index: 1,
  departure: undefined
})

const stampOf = (index: number) => ({ timestamp: 1000 + index, requestId: `r${index}` })

/** A line for each text, so that it can be read again. */
const compress = (text: string) => Buffer.from(`${text}\n`)
const shared: EventBatch.Shared = { now: 77, stampOf, compress }
const before = Buffer.from("before\n")
const { deflated, frames, stream } = EventBatch.encoders

const lines = (bytes: Buffer) => bytes.toString().split("\n").slice(0, -1)

/** How many events stand in each message that sync clients get. */
const eventsPerMessage = (entries: ReadonlyArray<EventLog.LogEntry>) =>
  lines(deflated.sync(entries, shared)).map((text) => JSON.parse(text).payload.events.length)

describe("events as connections get them", () => {
  const two = [entry('{"n":1}', "h1"), entry('{"n":2}', "h2")]
  const message = {
    eventType: "stratix:events",
    payload: {
      events: [
        { n: 1, offset: "h1" },
        { n: 2, offset: "h2" }
      ]
    },
    timestamp: 1000,
    requestId: "r0",
    sentAt: 77
  }

  it("are a frame each for plain clients, and one message for sync clients, after what comes before them", () => {
    assert.deepStrictEqual(frames.plain(two, shared), Frame.texts(['{"n":1}', '{"n":2}']))
    assert.deepStrictEqual(frames.plain(two, shared, before), Frame.texts(['{"n":1}', '{"n":2}'], before))
    const [text = ""] = lines(deflated.sync(two, shared))
    assert.deepStrictEqual(frames.sync(two, shared), Frame.text(text))
    assert.deepStrictEqual(frames.sync(two, shared, before), Frame.texts([text], before))
  })

  it("are the same in compressed frames", () => {
    assert.deepStrictEqual(lines(deflated.plain(two, shared)), ['{"n":1}', '{"n":2}'])
    assert.deepStrictEqual(lines(deflated.plain(two, shared, before)), ["before", '{"n":1}', '{"n":2}'])
    const [first, second, ...others] = lines(deflated.sync(two, shared, before))
    assert.deepStrictEqual([first, JSON.parse(second ?? ""), others], ["before", message, []])
  })

  it("are a message each in a stream, with the offset as its id, for all clients", () => {
    const text = ': 77\nid: h1\ndata: {"n":1,"offset":"h1"}\n\nid: h2\ndata: {"n":2,"offset":"h2"}\n\n'
    assert.strictEqual(stream.sync(two, shared).toString(), text)
    assert.strictEqual(stream.plain(two, shared, before).toString(), `before\n${text}`)
  })

  it("that are none are nothing", () => {
    for (const encode of [frames.plain, frames.sync, deflated.plain, deflated.sync]) {
      assert.deepStrictEqual(encode([], shared, before), before)
    }
  })

  it("have the size of their texts", () => {
    assert.strictEqual(EventBatch.size(two), 14)
    assert.strictEqual(EventBatch.size([]), 0)
  })
})

describe("a message of many events", () => {
  const small = (count: number) => Array.from({ length: count }, () => entry('{"n":1}'))
  /** An event that has so many characters in the message. */
  const long = (characters: number) => entry(`{"n":"${"x".repeat(characters - '{"n":"","offset":"h1"}'.length)}"}`)
  const countsOf = (sizes: ReadonlyArray<number>) => eventsPerMessage(sizes.map(long))

  it("holds 512 at the most, and each message has a stamp of its own", () => {
    assert.deepStrictEqual(eventsPerMessage(small(512)), [512])
    assert.deepStrictEqual(eventsPerMessage(small(513)), [512, 1])
    assert.deepStrictEqual(eventsPerMessage(small(1025)), [512, 512, 1])
    assert.deepStrictEqual(
      lines(deflated.sync(small(1025), shared)).map((text) => JSON.parse(text).requestId),
      ["r0", "r1", "r2"]
    )
  })

  it("holds 128 Ki characters at the most; a longer event travels alone", () => {
    const half = 64 * 1024
    assert.deepStrictEqual(countsOf([half, half]), [2])
    assert.deepStrictEqual(countsOf([half, half + 1]), [1, 1])
    assert.deepStrictEqual(countsOf([half, half, 100, half, half - 100, 100]), [2, 3, 1])
    assert.deepStrictEqual(countsOf([100, 3 * half, 100, 100]), [1, 1, 2])
    assert.deepStrictEqual(countsOf([3 * half, 100]), [1, 1])
  })
})

describe("the groups of one flush", () => {
  const counting = () => {
    let made = 0
    const stamps: Array<string> = []
    const encode: EventBatch.Encode = (entries, { stampOf: stamp }) => {
      made++
      for (const index of entries.keys()) stamps.push(stamp(index).requestId)
      return Buffer.from(entries.map(({ json }) => json).join())
    }
    return { encode, made: () => made, stamps }
  }
  const forFlush = () => {
    let next = 0
    return EventBatch.forFlush(77, () => stampOf(next++), compress)
  }

  it("share the bytes of one and the same event, in each form", () => {
    const [one, other] = [counting(), counting()]
    const flush = forFlush()
    const [a, b] = [entry("a"), entry("b")]
    assert.strictEqual(flush(one.encode, [a]), flush(one.encode, [a]))
    assert.strictEqual(flush(one.encode, [b]).toString(), "b")
    assert.strictEqual(flush(one.encode, [a]).toString(), "a")
    assert.strictEqual(one.made(), 2)
    assert.strictEqual(flush(other.encode, [a]).toString(), "a")
    flush(other.encode, [a])
    assert.strictEqual(other.made(), 1)
  })

  it("get several events made for each of them, stamped the same by their number", () => {
    const { encode, made, stamps } = counting()
    const flush = forFlush()
    const [a, b] = [entry("a"), entry("b")]
    assert.strictEqual(flush(encode, [a, b]).toString(), "a,b")
    assert.strictEqual(flush(encode, [a]).toString(), "a")
    assert.strictEqual(flush(encode, [b, a]).toString(), "b,a")
    assert.strictEqual(made(), 3)
    assert.deepStrictEqual(stamps, ["r0", "r1", "r0", "r0", "r1"])
  })

  it("are told when they were sent, and have the flush's own compression", () => {
    const flush = forFlush()
    const [text = ""] = lines(flush(deflated.sync, [entry('{"n":1}')]))
    assert.deepInclude(JSON.parse(text), { sentAt: 77, requestId: "r0" })
  })
})
