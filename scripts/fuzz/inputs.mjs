/** What no client should send, by a seed: made from good inputs by spoiling them, because pure noise is refused at the first byte. */

const UNICODE = ["\0", "\u2028", "\ud800", "\udfff", "👍", "é", "\ufeff", "\u202e", "‮", "ß", "\u0000a", "�", "𝕊", "İ"]
const NAMES = [
  "__proto__",
  "constructor",
  "toString",
  "",
  "type",
  "events",
  "agents",
  "commands",
  "hasOwnProperty",
  "agentId",
  "a,b",
  "%"
]
const NUMBERS = [
  "0",
  "-0",
  "1e999",
  "-1e999",
  "1e-999",
  "9007199254740993",
  "NaN",
  "Infinity",
  "0x10",
  "1.",
  ".5",
  "01",
  "-",
  "1".repeat(400)
]
const LITERALS = ["null", "true", "false", "[]", "{}", '""', "undefined", "[null]", "[[]]", '{"a":1}']

/** Deep enough to break a parser that recurses, small enough for the limit of a message. */
const DEPTHS = [10, 100, 1000, 10_000, 30_000]

/** Below, at, and above the limits of a filter and of a message. */
const LENGTHS = [1, 10, 256, 257, 999, 1000, 1001, 5000]

export const inputs = (random) => {
  const { between, chance, next, pick } = random

  const word = () => {
    const dice = next()
    if (dice < 0.5) return pick(["agent-1", "cmd-1", "agent_status_update", "stratix:agent_create", "good", "x"])
    if (dice < 0.65) return pick(NAMES)
    if (dice < 0.8) return Array.from({ length: between(1, 6) }, () => pick(UNICODE)).join("")
    if (dice < 0.9) return "x".repeat(pick(LENGTHS))
    return String.fromCharCode(...Array.from({ length: between(0, 12) }, () => between(0, 0xffff)))
  }
  /** A string of JSON: as JSON writes it, or raw, so that what must be escaped is not. */
  const string = () => (chance(0.9) ? JSON.stringify(word()) : `"${word()}"`)
  const nested = () => {
    const depth = pick(DEPTHS)
    return chance(0.5)
      ? "[".repeat(depth) + "]".repeat(chance(0.8) ? depth : depth - 1)
      : `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`
  }
  const list = (item) => `[${Array.from({ length: chance(0.97) ? between(0, 6) : pick(LENGTHS) }, item).join(",")}]`
  const value = () => {
    const dice = next()
    if (dice < 0.3) return list(string)
    if (dice < 0.55) return string()
    if (dice < 0.7) return pick(NUMBERS)
    if (dice < 0.9) return pick(LITERALS)
    if (dice < 0.99) return `[${Array.from({ length: between(0, 4) }, value).join(",")}]`
    return nested()
  }
  const object = (fields) => `{${fields.map(([name, text]) => `${name}:${text}`).join(",")}}`

  /** Some bytes of it changed, left out, doubled, or moved. */
  const spoil = (text) => {
    let spoilt = text
    for (let times = between(1, 3); times > 0; times--) {
      const at = between(0, spoilt.length)
      const to = Math.min(spoilt.length, at + between(0, 8))
      const dice = next()
      const put =
        dice < 0.25
          ? ""
          : dice < 0.5
            ? pick(['"', "{", "}", "[", "]", ",", ":", "\\", "\\u", " ", ...UNICODE])
            : dice < 0.75
              ? spoilt.slice(at, to).repeat(2)
              : String.fromCharCode(between(0, 0xff))
      spoilt = spoilt.slice(0, at) + put + spoilt.slice(dice < 0.5 ? to : at)
    }
    return spoilt
  }

  const subscribe = () =>
    object([
      ['"type"', '"subscribe"'],
      ...["events", "agents", "commands"]
        .filter(() => chance(0.4))
        .map((name) => [JSON.stringify(name), chance(0.6) ? list(string) : value()])
    ])
  const message = () => {
    const dice = next()
    if (dice < 0.35) return subscribe()
    if (dice < 0.45) return '{"type":"ping"}'
    if (dice < 0.7) return spoil(chance(0.8) ? subscribe() : '{"type":"ping"}')
    if (dice < 0.85)
      return object(
        Array.from({ length: between(0, 5) }, () => [
          chance(0.5) ? string() : pick(['"type"', '"events"', "type"]),
          value()
        ])
      )
    return value()
  }

  const percent = (text) => {
    const dice = next()
    if (dice < 0.6) {
      try {
        return encodeURIComponent(text)
      } catch {
        return "%ed%a0%80"
      }
    }
    if (dice < 0.75) return text.replace(/[^!-~]|[ #]/g, "")
    return pick(["%", "%zz", "%c3", "%c3%28", "%00", "+", "%2C", "%ff%fe", "%F0%9F%91%8D", "%ed%a0%80"])
  }
  const query = (offset) => {
    const parameter = () => {
      const name = pick(["events", "agents", "commands", "snapshot", "since", "token", "Events", "x", "", "__proto__"])
      const values =
        name === "snapshot" && chance(0.7)
          ? pick(["true", "false"])
          : name === "since" && chance(0.7)
            ? chance(0.5)
              ? offset
              : percent(spoil(offset))
            : Array.from({ length: chance(0.98) ? between(0, 4) : 1200 }, () => percent(word())).join(",")
      return chance(0.95) ? `${name}=${values}` : name
    }
    return Array.from({ length: between(0, 4) }, parameter).join(chance(0.95) ? "&" : pick(["&&", ";", "?", "&amp;"]))
  }

  const ORIGINS = [
    "http://localhost:5173",
    "https://evil.example",
    "null",
    "http://127.0.0.1.evil.example",
    "http://[::1]",
    "http://",
    "file://",
    "http://user@127.0.0.1:1",
    "HTTP://LOCALHOST",
    "http://127.0.0.1\\@evil.example",
    "//localhost",
    "javascript:0",
    "http://localhost.",
    "http://0x7f.1"
  ]
  const ADDRESSES = [
    "1.2.3.4",
    "::1",
    "::ffff:1.2.3.4",
    "[2001:db8::1]:80",
    "1.2.3.4:80",
    "fe80::1%eth0",
    "unknown",
    "_hidden",
    "999.1.1.1",
    "1.2.3",
    "",
    " ",
    "1.2.3.4.5",
    "::g",
    ","
  ]
  const PROTOCOLS = [
    "stratix.sync.v1",
    "stratix.plain.v1",
    "stratix.bearer.x",
    "stratix.bearer.",
    "graphql-ws",
    "",
    " ",
    "a b",
    "é",
    "stratix.sync.v1;q=1",
    "STRATIX.SYNC.V1"
  ]
  const KEYS = [
    "dGhlIHNhbXBsZSBub25jZQ==",
    "",
    "x",
    "AAAAAAAAAAAAAAAAAAAAAA",
    "AAAAAAAAAAAAAAAAAAAAAA=",
    "dGhlIHNhbXBsZSBub25jZQ==, x",
    "!".repeat(24)
  ]
  const some = (values, separator = ", ") =>
    Array.from({ length: chance(0.95) ? between(1, 3) : 100 }, () => (chance(0.9) ? pick(values) : word())).join(
      separator
    )

  /** Headers that take the place of good ones. */
  const headers = () => {
    const made = {}
    if (chance(0.5)) made.origin = chance(0.9) ? pick(ORIGINS) : word()
    if (chance(0.4)) made["x-forwarded-for"] = some(ADDRESSES)
    if (chance(0.4)) made["sec-websocket-protocol"] = some(PROTOCOLS)
    if (chance(0.1)) made["sec-websocket-version"] = pick(["13", "8", "", "13, 8", "0", "-1", "９", "1e1"])
    if (chance(0.1)) made["sec-websocket-key"] = pick(KEYS)
    if (chance(0.2)) {
      made["sec-websocket-extensions"] = some([
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; server_max_window_bits=8",
        "permessage-deflate; server_max_window_bits=99",
        "x-webkit-deflate-frame",
        ";",
        "permessage-deflate; client_no_context_takeover=7"
      ])
    }
    if (chance(0.1)) made.upgrade = pick(["websocket", "WebSocket", "h2c", "", "websocket, h2c"])
    if (chance(0.1)) made.authorization = pick(["Bearer x", "Bearer", "Basic eDp5", "bearer  x y", word()])
    if (chance(0.1)) made.host = pick(["127.0.0.1", "evil.example", "[::1]:3001", "", "localhost:99999", "a b", word()])
    if (chance(0.1))
      made.traceparent = pick(["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00-x", word()])
    return made
  }

  const event = () =>
    object([
      [
        '"eventType"',
        chance(0.7)
          ? pick([
              '"stratix:agent_status_update"',
              '"stratix:command_status_update"',
              '"stratix:agent_create"',
              '"stratix:x"',
              '"stratix:connected"'
            ])
          : value()
      ],
      [
        '"payload"',
        chance(0.8)
          ? object([
              ['"agentId"', chance(0.8) ? '"fuzzed"' : value()],
              ['"status"', chance(0.7) ? '"busy"' : value()],
              ...(chance(0.3) ? [[string(), value()]] : [])
            ])
          : value()
      ],
      ...(chance(0.2) ? [['"timestamp"', chance(0.5) ? "1" : value()]] : []),
      ...(chance(0.2) ? [['"requestId"', value()]] : [])
    ])
  const body = () => {
    const dice = next()
    if (dice < 0.4) return event()
    if (dice < 0.6) return list(event)
    if (dice < 0.85) return spoil(event())
    return value()
  }

  /** A frame of a client: whatever the first byte says, masked or not, of the length it says or not. */
  const frame = () => {
    const dice = next()
    const payload = Buffer.from(
      dice < 0.9 ? message() : Uint8Array.from({ length: between(0, 200) }, () => between(0, 255))
    )
    const first =
      dice < 0.75
        ? 0x81
        : chance(0.5)
          ? pick([0x01, 0x00, 0x80, 0x82, 0x88, 0x89, 0x8a, 0xc1, 0xf1, 0x83])
          : between(0, 255)
    const mask = chance(0.98) ? 0x80 : 0
    const { length } = payload
    const claimed = chance(0.98) ? length : between(0, 70_000)
    const header =
      claimed < 126
        ? [first, mask | claimed]
        : claimed < 65536
          ? [first, mask | 126, claimed >> 8, claimed & 255]
          : [first, mask | 127, 0, 0, 0, 0, 0, claimed >> 16, (claimed >> 8) & 255, claimed & 255]
    const key = [between(0, 255), between(0, 255), between(0, 255), between(0, 255)]
    if (mask !== 0) for (let i = 0; i < length; i++) payload[i] = (payload[i] ?? 0) ^ (key[i & 3] ?? 0)
    return Buffer.concat([Buffer.from(mask === 0 ? header : [...header, ...key]), payload])
  }

  return { body, frame, headers, message, query, spoil, word }
}
