import { beforeAll } from "@effect/vitest"
import { Redacted } from "effect"
import { afterAll } from "vitest"
import { RedisServer } from "../support/redis.js"
import { attacks } from "./attacks.js"

let server: RedisServer
let namespaces = 0
beforeAll(async () => {
  server = await RedisServer.start()
})
afterAll(() => server.end())
attacks("Redis", () => ({
  eventLog: Redacted.make(server.url),
  eventLogNamespace: `tenants-${++namespaces}`
}))
