/** What scripts use that is not installed in this tree: the peers of the benchmark, which scripts/bench/package.json brings, and the build. */

/** What `npm run build` makes of the source. */
declare module "*/dist/stratix-gateway/index.js" {
  export * from "stratix-status-sync"
}
declare module "*/dist/stratix-gateway/internals.js" {
  export * from "stratix-status-sync/internals"
}

declare module "socket.io" {
  interface Emitter {
    emit(event: string, value: unknown): unknown
  }
  interface Socket {
    readonly handshake: { readonly query: { readonly [name: string]: string | undefined } }
    join(rooms: ReadonlyArray<string>): unknown
  }
  export class Server implements Emitter {
    constructor(http: import("node:http").Server, options: object)
    on(event: "connection", listener: (socket: Socket) => void): this
    to(room: string): Emitter
    emit(event: string, value: unknown): unknown
  }
}
