/**
 * A file that the build made, served from memory: compressed once, and not sent again to those who have it.
 */
import * as Crypto from "node:crypto"
import { readFile } from "node:fs/promises"
import { createRequire } from "node:module"
import { pathToFileURL } from "node:url"
import { promisify } from "node:util"
import * as Zlib from "node:zlib"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"

export interface BuiltFile {
  readonly type: string
  readonly etag: string
  readonly identity: Uint8Array
  readonly br: Uint8Array
  readonly gzip: Uint8Array
}

/** Where the build puts files. Found by the package's name, because this module may have been bundled to anywhere in it. */
const folder = (): URL =>
  new URL("dist/", pathToFileURL(createRequire(import.meta.url).resolve("stratix-status-sync/package.json")))

const gzip = promisify(Zlib.gzip)
const brotli = promisify(Zlib.brotliCompress)

/** A file below `dist`. */
export const load = async (
  name: string,
  type: string,
  change: (text: string) => string = (text) => text
): Promise<BuiltFile> => {
  const identity = Buffer.from(change(await readFile(new URL(name, folder()), "utf8")))
  const etag = `"${Crypto.createHash("sha256").update(identity).digest("base64url")}"`
  return { type, etag, identity, br: await brotli(identity), gzip: await gzip(identity) }
}

const common = {
  "x-content-type-options": "nosniff",
  // Asked for anew each time; what has not changed is answered with 304.
  "cache-control": "no-cache",
  vary: "Accept-Encoding"
}

/** The answer to a GET or HEAD request for a file. */
export const respond = (
  request: HttpServerRequest.HttpServerRequest,
  file: BuiltFile,
  more: Readonly<Record<string, string>> = {}
): HttpServerResponse.HttpServerResponse => {
  const { "accept-encoding": accepted = "", "if-none-match": known = "" } = request.headers
  const headers = { ...common, ...more, etag: file.etag }
  if (known.includes(file.etag)) return HttpServerResponse.empty({ status: 304, headers })
  const encoding = /\bbr\b/.test(accepted) ? "br" : /\bgzip\b/.test(accepted) ? "gzip" : "identity"
  return HttpServerResponse.uint8Array(file[encoding], {
    contentType: file.type,
    headers: { ...headers, ...(encoding !== "identity" && { "content-encoding": encoding }) }
  })
}
