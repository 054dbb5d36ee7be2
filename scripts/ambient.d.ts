/** What scripts use that is not installed in this tree: the peers of the benchmark and the maker of mutants, which have a package.json of their own, and the build. */

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

declare module "@stryker-mutator/instrumenter" {
  interface Place {
    readonly line: number
    readonly column: number
  }
  interface Instrumenter {
    instrument(
      files: ReadonlyArray<{ readonly name: string; readonly mutate: boolean; readonly content: string }>,
      options: object
    ): Promise<{
      readonly files: ReadonlyArray<{ readonly content: string }>
      readonly mutants: ReadonlyArray<{
        readonly id: string
        readonly location: { readonly start: Place; readonly end: Place }
        readonly replacement: string
        readonly status?: string
      }>
    }>
  }
  export const createInstrumenter: (injector: unknown) => Instrumenter
}
declare module "typed-inject" {
  interface Injector {
    provideValue(token: string, value: unknown): Injector
    injectFunction<A>(f: (injector: unknown) => A): A
  }
  export const createInjector: () => Injector
}
