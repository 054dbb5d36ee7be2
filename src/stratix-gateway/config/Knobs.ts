/**
 * The record of all knobs: one entry each, from which the settings, their checks and docs/configuration.md are derived.
 */
import * as IpAddress from "../runtime/IpAddress.js"
import * as Knob from "./Knob.js"

const KiB = 1024
const MiB = 1024 * KiB

/** A `Map` of V8 holds 2^24 entries, and the history's ring is allocated at start. */
const MAX_ENTRIES = 2 ** 24

/** The longest string of V8 has 2^29 - 24 characters. */
const MAX_TEXT = 2 ** 29 - 24

export const knobs = {
  host: Knob.text({
    env: "STRATIX_HOST",
    default: "127.0.0.1",
    doc: "Address to bind. An address other than loopback should have authentication"
  }),
  port: Knob.count({
    env: "STRATIX_PORT",
    default: 3001,
    min: 0,
    max: 65_535,
    doc: "Port to bind; 0 takes a free one"
  }),
  // A machine with more cores than this has other work for them.
  workers: Knob.count({
    env: "STRATIX_WORKERS",
    default: 1,
    min: 1,
    max: 128,
    unit: "processes",
    doc: "Processes that serve clients; above 1 they share the port, and one process more holds the log (docs/operations/scale.md)"
  }),
  path: Knob.text({
    env: "STRATIX_PATH",
    default: "/",
    form: "a path that begins with /",
    accepts: (path) => path.startsWith("/"),
    doc: "Path of the WebSocket endpoint"
  }),
  heartbeatInterval: Knob.duration({
    env: "STRATIX_HEARTBEAT_INTERVAL",
    default: "30 seconds",
    doc: "Interval between pings of a connection"
  }),
  keepAliveInterval: Knob.duration({
    env: "STRATIX_KEEP_ALIVE_INTERVAL",
    default: "4 seconds",
    doc: "Longest time a sync client hears nothing; it calls its screen stale after two and a half times this"
  }),
  heartbeatTimeout: Knob.duration({
    env: "STRATIX_HEARTBEAT_TIMEOUT",
    default: "60 seconds",
    doc: "Time without a sign of life after which a connection is terminated; must be above the interval"
  }),
  historyCapacity: Knob.count({
    env: "STRATIX_HISTORY_CAPACITY",
    default: 8192,
    min: 1,
    max: MAX_ENTRIES,
    unit: "events",
    doc: "Events kept for exact catch-up"
  }),
  historyBytes: Knob.bytes({
    env: "STRATIX_HISTORY_BYTES",
    default: 64 * MiB,
    min: 1,
    doc: "Characters of encoded events kept for exact catch-up; above it the oldest are dropped"
  }),
  eventLog: Knob.secretText({
    env: "STRATIX_EVENT_LOG",
    default: "memory",
    form: "memory, file:PATH, or the redis:// URL of a Redis",
    accepts: (text) => /^(memory|file:.+|rediss?(\+sentinel)?:\/\/.+)$/.test(text),
    doc: "Where the log is: in memory it ends with the process; in a file it survives restarts; in a Redis many gateways share it as well (docs/operations/scale.md)"
  }),
  eventLogNamespace: Knob.text({
    env: "STRATIX_EVENT_LOG_NAMESPACE",
    default: "default",
    form: "1 to 64 letters, digits, dots, hyphens and underscores",
    accepts: (text) => /^[A-Za-z0-9._-]{1,64}$/.test(text),
    doc: "Which log of a Redis: deployments with different namespaces share nothing"
  }),
  eventLogTimeout: Knob.duration({
    env: "STRATIX_EVENT_LOG_TIMEOUT",
    default: "2 seconds",
    min: 100,
    doc: "Time for the file or the Redis to take an event, and again for it to come back from a Redis; above it publishers get 503"
  }),
  // Ten of the calls by which a gateway looks after its log.
  eventLogStaleness: Knob.duration({
    env: "STRATIX_EVENT_LOG_STALENESS",
    default: "10 seconds",
    doc: "Time without contact to the log after which `GET /readyz` answers 503"
  }),
  latestCapacity: Knob.count({
    env: "STRATIX_LATEST_CAPACITY",
    default: 100_000,
    min: 1,
    max: MAX_ENTRIES,
    unit: "keys",
    doc: "Keys whose newest event is kept; above it the key unchanged for longest is dropped"
  }),
  latestBytes: Knob.bytes({
    env: "STRATIX_LATEST_BYTES",
    default: 256 * MiB,
    min: 1,
    doc: "Characters of encoded newest events kept, of all keys together; the keys unchanged for longest leave above it"
  }),
  finishedRetention: Knob.duration({
    env: "STRATIX_FINISHED_RETENTION",
    default: "15 minutes",
    doc: "Time a finished command stays in the state"
  }),
  finishedCapacity: Knob.count({
    env: "STRATIX_FINISHED_CAPACITY",
    default: 10_000,
    min: 0,
    max: MAX_ENTRIES,
    unit: "commands",
    doc: "Finished commands kept in the state; above it the oldest is dropped"
  }),
  // As many as finished commands are kept by default: so many leave when all of them age at once.
  removalMarks: Knob.count({
    env: "STRATIX_REMOVAL_MARKS",
    default: 10_000,
    min: 0,
    max: MAX_ENTRIES,
    unit: "removals",
    doc: "Removals remembered for clients that come back; one from before the oldest gets a snapshot"
  }),
  // A gateway that restarts without a durable log forgets leases: one of days would promise what no publisher should rely on.
  maxLease: Knob.duration({
    env: "STRATIX_MAX_LEASE",
    default: "1 hour",
    doc: "Longest lease of a status: an agent that does not renew it in time is said to be offline"
  }),
  idempotencyRetention: Knob.duration({
    env: "STRATIX_IDEMPOTENCY_RETENTION",
    default: "10 minutes",
    doc: "Time for which a publication with an Idempotency-Key is answered as the first time"
  }),
  // The publications of ten minutes at 160 events a second, in about 6 MB.
  idempotencyCapacity: Knob.count({
    env: "STRATIX_IDEMPOTENCY_CAPACITY",
    default: 100_000,
    min: 0,
    max: MAX_ENTRIES,
    unit: "offsets",
    doc: "Offsets remembered of publications with an Idempotency-Key; above it the oldest publication is forgotten"
  }),
  maxEventBytes: Knob.bytes({
    env: "STRATIX_MAX_EVENT_BYTES",
    default: 256 * KiB,
    min: 256,
    max: MAX_TEXT,
    doc: "Size of one published event as JSON, in UTF-8"
  }),
  linger: Knob.duration({
    env: "STRATIX_LINGER",
    default: "0 millis",
    min: 0,
    doc: "Time to wait after an event for more to share its write; 0 flushes at the end of the event-loop turn"
  }),
  highWaterMark: Knob.bytes({
    env: "STRATIX_HIGH_WATER_MARK",
    default: 256 * KiB,
    min: 1,
    doc: "Unsent bytes above which a connection gets nothing more until it drains; never below the buffer Node gives a socket (16 KiB, from Node 22 on 64 KiB)"
  }),
  slowPolicy: Knob.choice({
    env: "STRATIX_SLOW_POLICY",
    default: "conflate",
    choices: ["conflate", "close"],
    doc: "What a connection that fell behind the history gets: conflate (the newest event of each key) or close (1013)"
  }),
  stallTimeout: Knob.duration({
    env: "STRATIX_STALL_TIMEOUT",
    default: "2 minutes",
    doc: "Time above the high-water mark after which a connection is terminated"
  }),
  compression: Knob.flag({
    env: "STRATIX_COMPRESSION",
    default: false,
    doc: "Offer permessage-deflate without context takeover; each message is compressed once for all connections that negotiated it"
  }),
  compressionThreshold: Knob.bytes({
    env: "STRATIX_COMPRESSION_THRESHOLD",
    default: 512,
    min: 0,
    doc: "Size below which a message is not compressed"
  }),
  maxMessageBytes: Knob.bytes({
    env: "STRATIX_MAX_MESSAGE_BYTES",
    default: 64 * KiB,
    min: 64,
    max: MAX_TEXT,
    doc: "Size of one message from a client; above it: close 1009"
  }),
  maxFilterValues: Knob.count({
    env: "STRATIX_MAX_FILTER_VALUES",
    default: 1000,
    min: 1,
    max: MAX_ENTRIES,
    unit: "values",
    doc: "Values in one filter, all fields together"
  }),
  allowedOrigins: Knob.list({
    env: "STRATIX_ALLOWED_ORIGINS",
    default: [],
    doc: "Origins of web pages that may connect and publish besides loopback and the same host; * allows all"
  }),
  allowedHosts: Knob.list({
    env: "STRATIX_ALLOWED_HOSTS",
    default: [],
    doc: "Host names that clients may ask for besides loopback and those of listed origins; a gateway bound to loopback refuses all others, and any gateway does where names are listed; * allows all"
  }),
  maxConnections: Knob.count({
    env: "STRATIX_MAX_CONNECTIONS",
    default: 20_000,
    min: 1,
    max: MAX_ENTRIES,
    unit: "connections",
    doc: "WebSocket connections at a time; above it: 503"
  }),
  maxConnectionsPerAddress: Knob.count({
    env: "STRATIX_MAX_CONNECTIONS_PER_ADDRESS",
    default: 256,
    min: 1,
    max: MAX_ENTRIES,
    unit: "connections",
    doc: "WebSocket connections at a time from one address (IPv6: one /64), 127.0.0.1 and ::1 excepted; above it: 429"
  }),
  trustedProxies: Knob.list({
    env: "STRATIX_TRUSTED_PROXIES",
    default: [],
    items: { form: "addresses or networks like 10.0.0.0/8", accepts: IpAddress.isNetwork },
    doc: "Proxies whose X-Forwarded-For is believed"
  }),
  maxHandshakes: Knob.count({
    env: "STRATIX_MAX_HANDSHAKES",
    default: 256,
    min: 1,
    max: MAX_ENTRIES,
    unit: "handshakes",
    doc: "WebSocket handshakes in progress at a time; above it: 503"
  }),
  handshakeRate: Knob.rate({
    env: "STRATIX_HANDSHAKE_RATE",
    default: 1000,
    doc: "WebSocket handshakes, with bursts of five times as many; above it: 503; 0: no limit"
  }),
  handshakeTimeout: Knob.duration({
    env: "STRATIX_HANDSHAKE_TIMEOUT",
    default: "10 seconds",
    doc: "Time for a client to send its request's header, and for the authenticator to decide"
  }),
  requestTimeout: Knob.duration({
    env: "STRATIX_REQUEST_TIMEOUT",
    default: "30 seconds",
    doc: "Time for a client to send a whole HTTP request; must not be below the handshake timeout"
  }),
  responseTimeout: Knob.duration({
    env: "STRATIX_RESPONSE_TIMEOUT",
    default: "60 seconds",
    doc: "Time from an HTTP request to the last byte of its answer, then the socket ends; must not be below the request timeout"
  }),
  // The request line and the seven header lines of the shortest handshake are about 200 bytes.
  maxHeaderBytes: Knob.bytes({
    env: "STRATIX_MAX_HEADER_BYTES",
    default: 16 * KiB,
    min: 1024,
    doc: "Size of a request's header; above it: 431"
  }),
  messageRate: Knob.rate({
    env: "STRATIX_MESSAGE_RATE",
    default: 100,
    doc: "Messages, pings and pongs from one client, with bursts of twice as many; above it: close 1008; 0: no limit"
  }),
  filterRate: Knob.rate({
    env: "STRATIX_FILTER_RATE",
    default: 10,
    doc: "Changes of filter by one client, with bursts of twice as many, each hundred values counting as one more; above it: stratix:error; 0: no limit"
  }),
  maxFragments: Knob.count({
    env: "STRATIX_MAX_FRAGMENTS",
    default: 128,
    min: 1,
    unit: "frames",
    doc: "Frames one message from a client may be split into; above it: close 1008"
  }),
  publishRate: Knob.rate({
    env: "STRATIX_PUBLISH_RATE",
    default: 10_000,
    doc: "Events one principal may publish over HTTP, with bursts of twice as many; above it: 429; 0: no limit"
  }),
  queryTokens: Knob.flag({
    env: "STRATIX_QUERY_TOKENS",
    default: false,
    doc: "Accept a token in the query string of the WebSocket (?token=), where proxies log it"
  }),
  tokens: Knob.secret({
    env: "STRATIX_TOKENS",
    doc: "Static tokens, as JSON (docs/SECURITY.md)"
  }),
  tokensFile: Knob.optionalText({
    env: "STRATIX_TOKENS_FILE",
    doc: "File of static tokens, as JSON (docs/SECURITY.md); reloaded when it changes"
  }),
  jwtSecret: Knob.secret({
    env: "STRATIX_JWT_SECRET",
    doc: "Secret that JWTs are signed with (HS256, HS384, HS512); at least 32 bytes"
  }),
  jwtJwksFile: Knob.optionalText({
    env: "STRATIX_JWT_JWKS_FILE",
    doc: "File with the public keys of JWTs (JWKS); reloaded when it changes"
  }),
  jwtJwksUrl: Knob.optionalText({
    env: "STRATIX_JWT_JWKS_URL",
    doc: "Address of the public keys of JWTs (JWKS); https"
  }),
  jwtIssuer: Knob.optionalText({
    env: "STRATIX_JWT_ISSUER",
    doc: "Required `iss` of a JWT"
  }),
  jwtAudience: Knob.optionalText({
    env: "STRATIX_JWT_AUDIENCE",
    doc: "Required `aud` of a JWT; must be set where the keys are a JWKS"
  }),
  jwtClockSkew: Knob.duration({
    env: "STRATIX_JWT_CLOCK_SKEW",
    default: "0 millis",
    min: 0,
    doc: "Allowed difference between the clocks of issuer and gateway; a JWT is accepted that much longer"
  }),
  allowAnonymous: Knob.flag({
    env: "STRATIX_ALLOW_ANONYMOUS",
    default: false,
    doc: "Whether a gateway that other machines can reach may start without tokens or JWT keys, letting every client watch and publish"
  }),
  tlsCert: Knob.optionalText({
    env: "STRATIX_TLS_CERT",
    doc: "File of the certificate chain (PEM). With it the gateway speaks TLS only; reloaded when it changes"
  }),
  tlsKey: Knob.optionalText({
    env: "STRATIX_TLS_KEY",
    doc: "File of the certificate's private key (PEM)"
  }),
  tlsPassphrase: Knob.secret({
    env: "STRATIX_TLS_PASSPHRASE",
    doc: "Passphrase of the private key"
  }),
  maxBodyBytes: Knob.bytes({
    env: "STRATIX_MAX_BODY_BYTES",
    default: 4 * MiB,
    min: 256,
    max: MAX_TEXT,
    doc: "Size of an HTTP request body; above it: 413"
  }),
  dashboard: Knob.flag({
    env: "STRATIX_DASHBOARD",
    default: true,
    doc: "Serve the live dashboard at GET /dashboard (docs/dashboard.md)"
  }),
  metrics: Knob.flag({
    env: "STRATIX_METRICS",
    default: true,
    doc: "Measure flushes and serve GET /metrics (docs/operations/README.md)"
  }),
  logFormat: Knob.choice({
    env: "STRATIX_LOG_FORMAT",
    default: "pretty",
    choices: ["pretty", "logfmt", "json"],
    doc: "Format of the log of `npm start`"
  }),
  logLevel: Knob.choice({
    env: "STRATIX_LOG_LEVEL",
    default: "info",
    choices: ["all", "trace", "debug", "info", "warning", "error", "fatal", "none"],
    doc: "Lowest level in the log of `npm start`"
  }),
  drainTimeout: Knob.duration({
    env: "STRATIX_DRAIN_TIMEOUT",
    default: "5 seconds",
    min: 0,
    doc: "On shutdown, time for clients to take what is pending and to answer the close; then they are terminated"
  })
}
