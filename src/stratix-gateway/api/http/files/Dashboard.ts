/**
 * The live dashboard: a page, a script and a style sheet.
 */
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as BuiltFile from "./BuiltFile.js"

/** The page may load its own script and style and talk to its own gateway; nothing else. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'"
].join("; ")

const headers = { "content-security-policy": POLICY, "referrer-policy": "no-referrer" }

/** Answers a request for the dashboard; `undefined` where it asks for something else. */
export type Dashboard = (
  request: HttpServerRequest.HttpServerRequest
) => HttpServerResponse.HttpServerResponse | undefined

/** No dashboard. */
export const none: Dashboard = () => undefined

const html = /\btext\/html\b/

/** The dashboard of a gateway whose WebSocket is at `path`. Where the build has not made the files, there is none. */
export const make = (path: string): Effect.Effect<Dashboard> =>
  Effect.tryPromise(async () => {
    const load = (name: string, type: string, change?: (text: string) => string) =>
      BuiltFile.load(`stratix-dashboard/${name}`, `${type}; charset=utf-8`, change)
    const files = new Map([
      ["/dashboard", await load("index.html", "text/html", (text) => text.replace("{{path}}", `.${path}`))],
      ["/dashboard/app.js", await load("app.js", "text/javascript")],
      ["/dashboard/styles.css", await load("styles.css", "text/css")]
    ])
    return (request: HttpServerRequest.HttpServerRequest) => {
      if (request.method !== "GET" && request.method !== "HEAD") return undefined
      const [asked = ""] = request.url.split("?", 1)
      // A browser that opens the gateway's address is shown the dashboard; a WebSocket client sees no difference.
      if (asked === "/" && html.test(request.headers["accept"] ?? "")) {
        return HttpServerResponse.empty({ status: 302, headers: { location: "dashboard" } })
      }
      const file = files.get(asked)
      return file === undefined ? undefined : BuiltFile.respond(request, file, headers)
    }
  }).pipe(Effect.orElseSucceed(() => none))
