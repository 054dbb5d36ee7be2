/**
 * What went wrong without ending the client.
 *
 * @since 0.1.0
 */

/** Given to `onError`. `MalformedFrame`: a frame of the gateway that could not be read was left out. `HandlerFailed`: a handler threw.
 * `TokenFailed`: the token function did. `ServerError`: the gateway did not understand a message, or refused a filter.
 * `SocketFailed`: the platform's WebSocket threw.
 * @since 0.1.0
 * @category errors */
export class StatusClientError extends Error {
  override readonly name = "StatusClientError"
  constructor(
    readonly reason: "MalformedFrame" | "HandlerFailed" | "TokenFailed" | "ServerError" | "SocketFailed",
    cause: unknown
  ) {
    super(`${reason}: ${cause instanceof Error ? cause.message : cause}`, { cause })
  }
}

/** Where errors go when there is no `onError`: to the page's `error` event or, in Node, to the process's `warning` event. Ends nothing.
 * @since 0.1.0
 * @category errors */
export const reportToPlatform = (error: StatusClientError): void =>
  (globalThis.reportError ?? globalThis.process?.emitWarning)?.(error)
