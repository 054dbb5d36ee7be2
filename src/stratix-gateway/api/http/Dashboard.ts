/**
 * The live dashboard: a page, a script and a style sheet, made by the build and served from memory.
 */
import * as Crypto from "node:crypto"
import { readFile } from "node:fs/promises"
import { createRequire } from "node:module"
import { pathToFileURL } from "node:url"
import { promisify } from "node:util"
import * as Zlib from "node:zlib"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"

/** Where the build puts the files. Found by the package's name, because this module may have been bundled to anywhere in it. */
const folder = (): URL =>
  new URL(
    "dist/stratix-dashboard/",
    pathToFileURL(createRequire(import.meta.url).resolve("stratix-status-sync/package.json"))
  )

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

const common = {
  "content-security-policy": POLICY,
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  // Asked for anew each time; what has not changed is answered with 304.
  "cache-control": "no-cache",
  vary: "Accept-Encoding"
}

interface File {
  readonly type: string
  readonly etag: string
  readonly identity: Uint8Array
  readonly br: Uint8Array
  readonly gzip: Uint8Array
}

const gzip = promisify(Zlib.gzip)
const brotli = promisify(Zlib.brotliCompress)

const load = async (name: string, type: string, change: (text: string) => string = (text) => text): Promise<File> => {
  const identity = Buffer.from(change(await readFile(new URL(name, folder()), "utf8")))
  const etag = `"${Crypto.createHash("sha256").update(identity).digest("base64url")}"`
  return { type, etag, identity, br: await brotli(identity), gzip: await gzip(identity) }
}

const send = (request: HttpServerRequest.HttpServerRequest, file: File): HttpServerResponse.HttpServerResponse => {
  const { "accept-encoding": accepted = "", "if-none-match": known = "" } = request.headers
  const headers = { ...common, etag: file.etag }
  if (known.includes(file.etag)) return HttpServerResponse.empty({ status: 304, headers })
  const encoding = /\bbr\b/.test(accepted) ? "br" : /\bgzip\b/.test(accepted) ? "gzip" : "identity"
  return HttpServerResponse.uint8Array(file[encoding], {
    contentType: file.type,
    headers: { ...headers, ...(encoding !== "identity" && { "content-encoding": encoding }) }
  })
}

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
    const files = new Map([
      [
        "/dashboard",
        await load("index.html", "text/html; charset=utf-8", (text) => text.replace("{{path}}", `.${path}`))
      ],
      ["/dashboard/app.js", await load("app.js", "text/javascript; charset=utf-8")],
      ["/dashboard/styles.css", await load("styles.css", "text/css; charset=utf-8")]
    ])
    return (request: HttpServerRequest.HttpServerRequest) => {
      if (request.method !== "GET" && request.method !== "HEAD") return undefined
      const [asked = ""] = request.url.split("?", 1)
      // A browser that opens the gateway's address is shown the dashboard; a WebSocket client sees no difference.
      if (asked === "/" && html.test(request.headers["accept"] ?? "")) {
        return HttpServerResponse.empty({ status: 302, headers: { location: "dashboard" } })
      }
      const file = files.get(asked)
      return file === undefined ? undefined : send(request, file)
    }
  }).pipe(Effect.orElseSucceed(() => none))
