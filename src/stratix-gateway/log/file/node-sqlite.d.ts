/** What is used of Node's SQLite: the types of Node 20 do not have it. */
declare module "node:sqlite" {
  type Value = string | number | null

  class StatementSync {
    run(...values: ReadonlyArray<Value>): unknown
    get(...values: ReadonlyArray<Value>): Record<string, Value> | undefined
    all(...values: ReadonlyArray<Value>): Array<Record<string, Value>>
    iterate(...values: ReadonlyArray<Value>): IterableIterator<Record<string, Value>>
  }

  class DatabaseSync {
    constructor(path: string, options?: { readonly readOnly?: boolean })
    exec(sql: string): void
    prepare(sql: string): StatementSync
    close(): void
  }
}
