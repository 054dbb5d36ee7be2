// @ts-check
/** The AsyncAPI document of the WebSocket, made of the Schemas and of the examples in docs/PROTOCOL.md. */
import { Either, JSONSchema, Schema } from "effect"

/** @typedef {typeof import("../../src/stratix-core/index.js")} Protocol */
/** @typedef {{ readonly [name: string]: unknown }} Json */
/** @typedef {{ readonly title: string, readonly summary: string, readonly schema: Schema.Schema.All }} Message */
/** @typedef {{ readonly [name: string]: Message }} Messages */

/** @type {(kind: string, name: string) => { $ref: string }} */
const ref = (kind, name) => ({ $ref: `#/components/${kind}/${name}` })

/** The JSON blocks of docs/PROTOCOL.md.
 * @type {(page: string) => Array<Json>} */
const examplesIn = (page) =>
  [...page.matchAll(/```json(?: client)?\n(.+?)\n```/gs)].map(([, text]) => JSON.parse(text ?? ""))

/** @type {(schema: Schema.Schema.All, value: unknown) => boolean} */
const decodes = (schema, value) =>
  Either.isRight(
    Schema.decodeUnknownEither(/** @type {Schema.Schema<unknown>} */ (schema))(value, { onExcessProperty: "error" })
  )

/** Every message, in both directions, by name.
 * @param {Protocol} protocol */
const messagesOf = (protocol) => {
  const { AgentCreatePayload, ConnectedMessage, Key, Offset, OtherEvent } = protocol
  // A payload may have further fields.
  const others = Schema.Record({ key: Schema.String, value: Schema.Unknown })
  /** @type {<Fields extends Schema.Struct.Fields>(payload: Schema.Struct<Fields>) => Schema.Schema.All} */
  const open = ({ fields }) => Schema.Struct(fields, others)
  const AgentStatusEvent = Schema.Struct({
    ...protocol.AgentStatusEvent.fields,
    payload: open(protocol.AgentStatusPayload)
  })
  const CommandStatusEvent = Schema.Struct({
    ...protocol.CommandStatusEvent.fields,
    payload: open(protocol.CommandStatusPayload)
  })
  // By a name, so that the bounds of both texts are said in one place.
  const named = { identifier: "Name" }
  const { agentId, name, type } = AgentCreatePayload.fields
  const AgentCreateEvent = Schema.Struct({
    ...protocol.AgentCreateEvent.fields,
    payload: Schema.Struct({ agentId, name: name.annotations(named), type: type.annotations(named) }, others)
  })
  const AgentRemoveEvent = Schema.Struct({
    ...protocol.AgentRemoveEvent.fields,
    payload: open(protocol.AgentRemovePayload)
  })
  const CommandRemoveEvent = Schema.Struct({
    ...protocol.CommandRemoveEvent.fields,
    payload: open(protocol.CommandRemovePayload)
  })
  const KeyRemoveEvent = Schema.Struct({ ...protocol.KeyRemoveEvent.fields, payload: open(protocol.KeyRemovePayload) })
  /** @type {<Fields extends Schema.Struct.Fields>(event: Schema.Struct<Fields>) => Schema.Schema.All} */
  const withOffset = (event) => Schema.Struct({ ...event.fields, offset: Offset })
  const events = {
    agentStatus: {
      title: "Agent status",
      summary: "State of an agent. Key: agent:<agentId>.",
      schema: AgentStatusEvent
    },
    commandStatus: {
      title: "Command status",
      summary: "State of a command. Key: command:<commandId>.",
      schema: CommandStatusEvent
    },
    agentCreate: {
      title: "Agent created",
      summary: "An agent was created. Key: agent-info:<agentId>.",
      schema: AgentCreateEvent
    },
    agentRemove: {
      title: "Agent removed",
      summary: "An agent was removed. Ends agent:<agentId> and agent-info:<agentId>.",
      schema: AgentRemoveEvent
    },
    commandRemove: {
      title: "Command removed",
      summary: "A command was removed, or left what the filter lets through. Ends command:<commandId>.",
      schema: CommandRemoveEvent
    },
    keyRemove: {
      title: "Key removed",
      summary: "What events of a type of the author's own told of one key was removed. Ends that key of that type.",
      schema: KeyRemoveEvent
    },
    other: {
      title: "Any other event",
      summary:
        "Whatever the gateway's author publishes. Where its type is declared with a key, sync clients get that beside the offset.",
      schema: OtherEvent
    }
  }
  const atOffset = Schema.Union(
    withOffset(AgentStatusEvent),
    withOffset(CommandStatusEvent),
    withOffset(AgentCreateEvent),
    withOffset(AgentRemoveEvent),
    withOffset(CommandRemoveEvent),
    withOffset(KeyRemoveEvent),
    Schema.Struct({ ...OtherEvent.fields, offset: Offset, key: Schema.optionalWith(Key, { exact: true }) })
  )
  const EventsMessage = Schema.Struct({
    ...protocol.EventsMessage.fields,
    payload: Schema.Struct({ events: Schema.Array(atOffset) })
  })
  const { payload } = ConnectedMessage.fields
  const replies = {
    heartbeat: {
      title: "Heartbeat",
      summary: "The gateway is alive. With every ping in sync mode, and as the answer to ping.",
      schema: protocol.HeartbeatMessage
    },
    subscribed: {
      title: "Subscribed",
      summary: "The filter now in force: the answer to subscribe.",
      schema: protocol.SubscribedMessage
    },
    error: { title: "Error", summary: "A client message that was not understood.", schema: protocol.ErrorMessage }
  }
  return {
    plain: {
      connected: {
        title: "Welcome",
        summary: "The first message on every connection.",
        schema: Schema.Struct({ ...ConnectedMessage.fields, payload: payload.pick("message") })
      },
      ...events,
      ...replies
    },
    sync: {
      connectedSync: {
        title: "Welcome in sync mode",
        summary: "The first message on every connection. head is the offset of the newest event.",
        schema: Schema.Struct({
          ...ConnectedMessage.fields,
          payload: Schema.extend(Schema.required(payload.omit("staleMs")), payload.pick("staleMs"))
        })
      },
      sync: {
        title: "Sync",
        summary:
          "Before every catch-up: count events follow, then another sync if more is true, else the client is live.",
        schema: protocol.SyncMessage
      },
      events: {
        title: "Events",
        summary: "Events in offset order, each with its offset: those of one flush, or of one step of a catch-up.",
        schema: EventsMessage
      },
      ...replies,
      closing: {
        title: "Closing",
        summary: "Before a drain closes the connection: come back after retryAfterMs.",
        schema: protocol.ClosingMessage
      }
    },
    client: {
      subscribe: {
        title: "Subscribe",
        summary: "Replaces the filter. A sync client then gets a snapshot for it.",
        schema: protocol.SubscribeMessage
      },
      ping: { title: "Ping", summary: "Asks for a heartbeat.", schema: protocol.PingMessage }
    }
  }
}

/** What the filter functions of the Schemas ask for, which a JSON Schema cannot be made of.
 * @param {Protocol} protocol
 * @returns {{ readonly [schema: string]: Json }} */
const boundsOf = ({ CONTROL_TYPES, KNOWN_TYPES, MAX_ID_LENGTH }) => {
  const id = { minLength: 1, maxLength: MAX_ID_LENGTH }
  return {
    AgentId: id,
    CommandId: id,
    RequestId: id,
    Key: id,
    OwnEventType: {
      maxLength: MAX_ID_LENGTH,
      pattern: "^stratix:[A-Za-z0-9_.:-]+$",
      not: { enum: [...CONTROL_TYPES, ...KNOWN_TYPES] },
      description: "a type of the author's own"
    },
    Name: id,
    EventType: {
      maxLength: MAX_ID_LENGTH,
      pattern: "^stratix:[A-Za-z0-9_.:-]+$",
      not: { enum: [...CONTROL_TYPES] },
      description: "not one of the server's own message types"
    }
  }
}

/** A value without what would only stand in the way: an address of Effect's own for "anything".
 * @type {(value: unknown) => unknown} */
const withoutIds = (value) => {
  if (Array.isArray(value)) return value.map(withoutIds)
  if (typeof value !== "object" || value === null) return value
  const { $id, ...rest } = /** @type {Json} */ (value)
  if ($id !== undefined) return { description: "any JSON" }
  return Object.fromEntries(Object.entries(rest).map(([name, inner]) => [name, withoutIds(inner)]))
}

/** The JSON Schemas of messages, and those they refer to.
 * @param {Protocol} protocol
 * @param {Messages} messages */
const schemasOf = (protocol, messages) => {
  const bounds = boundsOf(protocol)
  /** @type {Record<string, JSONSchema.JsonSchema7>} */
  const definitions = {}
  const payloads = Object.entries(messages).map(([name, { schema }]) => {
    const made = JSONSchema.fromAST(schema.ast, { definitions, definitionPath: "#/components/schemas/" })
    return /** @type {const} */ ([name, withoutIds(made)])
  })
  const shared = Object.entries(definitions).map(([name, schema]) => [
    name,
    { .../** @type {Json} */ (withoutIds(schema)), ...bounds[name] }
  ])
  return { payloads: Object.fromEntries(payloads), shared: Object.fromEntries(shared) }
}

/** @type {(description: string, more?: Json) => Json} */
const text = (description, more = {}) => ({ type: "string", description, ...more })

const query = {
  events: text("Only these event types, comma-separated; the prefix stratix: may be left out.", {
    examples: ["agent_status_update,command_status_update"]
  }),
  agents: text("Only events of these agents, comma-separated; an event without an agentId does not match.", {
    examples: ["agent-001,agent-002"]
  }),
  commands: text("Only events of these commands, comma-separated; an event without a commandId does not match.", {
    examples: ["cmd-001"]
  }),
  token: text("A bearer token, only where the operator allows it.")
}

/** How a connection of a mode is asked for.
 * @type {(more: Json, subprotocol: Json, required: boolean) => Json} */
const bindings = (more, subprotocol, required) => ({
  ws: {
    method: "GET",
    query: { type: "object", properties: { ...query, ...more } },
    headers: {
      type: "object",
      properties: { "Sec-WebSocket-Protocol": subprotocol },
      ...(required && { required: ["Sec-WebSocket-Protocol"] })
    },
    bindingVersion: "0.1.0"
  }
})

const codes = /** @type {const} */ ({
  NORMAL: "asked for",
  GOING_AWAY: "the gateway is going away",
  UNSUPPORTED_DATA: "a frame that is not text",
  INVALID_DATA: "text that is not UTF-8",
  POLICY_VIOLATION: "malformed or too many messages",
  MESSAGE_TOO_BIG: "a message above the size limit",
  SERVICE_RESTART: "the gateway restarts",
  TRY_AGAIN_LATER: "too slow, or the gateway is overloaded",
  UNAUTHORIZED: "token missing, wrong, expired or revoked",
  FORBIDDEN: "not allowed"
})

/** The document.
 * @param {{ readonly protocol: Protocol, readonly version: string, readonly page: string, readonly port: number }} from
 *   `page` is docs/PROTOCOL.md; `port` the default one. */
export const asyncApi = ({ page, port, protocol, version }) => {
  const { BEARER_PROTOCOL_PREFIX, CloseCodes, PLAIN_PROTOCOL, SYNC_PROTOCOL } = protocol
  const { client, plain, sync } = messagesOf(protocol)
  /** @type {Messages} */
  const all = { ...plain, ...sync, ...client }
  const { payloads, shared } = schemasOf(protocol, all)
  const shown = examplesIn(page)

  const messages = Object.fromEntries(
    Object.entries(all).map(([name, { schema, summary, title }]) => {
      const examples = shown.filter((example) => decodes(schema, example)).map((payload) => ({ payload }))
      return [
        name,
        {
          name,
          title,
          summary,
          contentType: "application/json",
          payload: payloads[name],
          ...(examples.length > 0 && { examples })
        }
      ]
    })
  )
  /** @type {(messages: Messages) => Json} */
  const refs = (some) => Object.fromEntries(Object.keys(some).map((name) => [name, ref("messages", name)]))
  /** @type {(channel: string, names: ReadonlyArray<string>) => Array<Json>} */
  const inChannel = (channel, names) => names.map((name) => ({ $ref: `#/channels/${channel}/messages/${name}` }))
  /** @type {(channel: string, said: Messages) => Json} */
  const operations = (channel, said) => {
    const at = { $ref: `#/channels/${channel}` }
    return {
      [`${channel}Send`]: {
        action: "send",
        channel: at,
        summary: `What the gateway sends in ${channel} mode.`,
        messages: inChannel(channel, Object.keys(said))
      },
      [`${channel}Subscribe`]: {
        action: "receive",
        channel: at,
        summary: client.subscribe.summary,
        messages: inChannel(channel, ["subscribe"]),
        reply: { channel: at, messages: inChannel(channel, ["subscribed", "error"]) }
      },
      [`${channel}Ping`]: {
        action: "receive",
        channel: at,
        summary: client.ping.summary,
        messages: inChannel(channel, ["ping"]),
        reply: { channel: at, messages: inChannel(channel, ["heartbeat"]) }
      }
    }
  }

  return {
    asyncapi: "3.0.0",
    info: {
      title: "Stratix status sync",
      version,
      description:
        "What every agent and every command is doing, the moment it happens. One JSON object per text frame. Meaning and rules: docs/PROTOCOL.md. The HTTP routes on the same port: GET /openapi.json.",
      license: { name: "MIT" }
    },
    defaultContentType: "application/json",
    servers: {
      gateway: {
        host: `127.0.0.1:${port}`,
        protocol: "ws",
        description: "Where a gateway listens unless it is told otherwise; with TLS the protocol is wss.",
        security: ["bearer", "bearerSubprotocol", "bearerQuery"].map((name) => ref("securitySchemes", name))
      }
    },
    channels: {
      plain: {
        address: "/",
        title: "Plain mode",
        description: "For a client that knows nothing but new WebSocket(url).",
        servers: [{ $ref: "#/servers/gateway" }],
        messages: refs({ ...plain, ...client }),
        bindings: bindings(
          {
            snapshot: text("Right after the welcome, the latest event of every key the filter admits.", {
              enum: ["true", "false"],
              default: "false"
            })
          },
          text("Absent, or plain mode by its name.", { enum: [PLAIN_PROTOCOL] }),
          false
        )
      },
      sync: {
        address: "/",
        title: "Sync mode",
        description: "With offsets, snapshot and resume: every event has the field offset.",
        servers: [{ $ref: "#/servers/gateway" }],
        messages: refs({ ...sync, ...client }),
        bindings: bindings(
          { since: text("An offset that was received: everything after it.") },
          text("Sync mode by its name; others may be offered beside it.", { enum: [SYNC_PROTOCOL] }),
          true
        )
      }
    },
    operations: { ...operations("plain", plain), ...operations("sync", sync) },
    components: {
      schemas: shared,
      messages,
      securitySchemes: {
        bearer: {
          type: "http",
          scheme: "bearer",
          description: "Where the gateway asks for tokens. In the Authorization header."
        },
        bearerSubprotocol: {
          type: "httpApiKey",
          in: "header",
          name: "Sec-WebSocket-Protocol",
          description: `For browsers: an entry ${BEARER_PROTOCOL_PREFIX}<token> beside ${SYNC_PROTOCOL} or ${PLAIN_PROTOCOL}.`
        },
        bearerQuery: {
          type: "httpApiKey",
          in: "query",
          name: "token",
          description: "Only where the operator allows it: proxies log addresses."
        }
      }
    },
    "x-close-codes": Object.entries(codes).map(([name, meaning]) => {
      const code = CloseCodes[/** @type {keyof typeof codes} */ (name)]
      return { code, meaning, reconnectAction: CloseCodes.reconnectAction(code) }
    })
  }
}
