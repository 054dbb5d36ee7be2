// @ts-check
/**
 * The thread that has the file of a log: it waits for the disk, so that the gateway does not.
 *
 * It imports nothing of this package, because it is a program of its own: the package has it as it stands, beside the modules and beside the
 * command line. It answers one message after the other.
 */
import { accessSync, closeSync, constants, openSync, readSync, statSync } from "node:fs"
import { dirname } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { parentPort, workerData } from "node:worker_threads"
import { crc32 } from "node:zlib"

/** "STRX": tells a log from the databases of other programs. */
const APPLICATION = 0x53_54_52_58

/** Changes whenever a gateway could misread what another version wrote. */
const FORMAT = 2

/** Rows in one answer: some 600 KB. */
const PAGE = 2000

/** Milliseconds to wait for a program that has the file for a moment, such as a backup. */
const PATIENCE = 1000

/** Bytes to which SQLite cuts its write-ahead log, where a backup made it longer. */
const WAL_BYTES = 16 * 1024 * 1024

const HEADER = "SQLite format 3\0"

const CREATE = `
  CREATE TABLE log (seq INTEGER PRIMARY KEY, packed TEXT NOT NULL, sum INTEGER NOT NULL) STRICT;
  CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL, sum INTEGER NOT NULL) STRICT;
  CREATE TABLE idem (key TEXT PRIMARY KEY, value TEXT NOT NULL, sum INTEGER NOT NULL) STRICT;
`

/** What makes a file of each older format one of the next, as SQL. A new file takes all steps as well: so both end the same. */
const STEPS = new Map([
  [1, "CREATE TABLE revoked (name TEXT PRIMARY KEY, value TEXT NOT NULL, sum INTEGER NOT NULL) STRICT;"]
])

/** The steps from a format to this one. @param {number} format */
const stepsFrom = (format) =>
  [...STEPS]
    .filter(([from]) => from >= format)
    .map(([, sql]) => sql)
    .join("\n")

/** Why the file is not opened; for an operator. */
class Refusal extends Error {
  /** @param {"Refused" | "Format"} reason @param {string} message */
  constructor(reason, message) {
    super(message)
    this.reason = reason
  }
}

/** @type {{ readonly path: string, readonly durability: "process" | "disk", readonly isLook: boolean }} */
const { durability, isLook, path } = workerData

/** @param {string} detail */
const damaged = (detail) =>
  new Refusal(
    "Refused",
    `${path} is damaged, and nothing of it is used: ${detail}. Put a backup in its place, or move it away together with ${path}-wal and ${path}-shm and begin an empty log`
  )

/** @param {unknown} error @returns {number} the primary code of SQLite, 0 where there is none */
const codeOf = (error) =>
  error instanceof Error && "errcode" in error && typeof error.errcode === "number" ? error.errcode & 0xff : 0

/** @param {unknown} error */
const textOf = (error) => (error instanceof Error ? error.message : String(error))

/** @param {unknown} error */
const nodeCodeOf = (error) =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : ""

/** Refuses what SQLite would refuse in words of its own, or would not. @returns {boolean} whether there is nothing yet */
const lookAtFile = () => {
  const folder = dirname(path)
  const mustBeWritable = (/** @type {string} */ what) => {
    try {
      accessSync(what, constants.R_OK | constants.W_OK)
    } catch (error) {
      const code = nodeCodeOf(error)
      if (code === "ENOENT")
        throw new Refusal("Refused", `the folder ${folder} of ${path} does not exist: create it, or name another file`)
      if (code === "EROFS")
        throw new Refusal(
          "Refused",
          `${what} is on a file system that is read-only: mount it read-write, or name another file`
        )
      throw new Refusal(
        "Refused",
        `${what} may not be written by this user (${code}): the gateway writes the file, and makes others beside it in ${folder}`
      )
    }
  }
  mustBeWritable(folder)
  const sizeOf = (/** @type {string} */ file) => {
    const stats = statSync(file, { throwIfNoEntry: false })
    if (stats !== undefined && !stats.isFile())
      throw new Refusal("Refused", `${file} is not a file: name the file that is to hold the log`)
    return stats?.size
  }
  const size = sizeOf(path)
  const walSize = sizeOf(`${path}-wal`) ?? 0
  if (size !== undefined) mustBeWritable(path)
  if ((size ?? 0) === 0) {
    if (walSize > 0) throw damaged(`it is ${size === undefined ? "gone" : "empty"}, and its ${path}-wal is there`)
    return true
  }
  const begin = Buffer.alloc(HEADER.length)
  const file = openSync(path, "r")
  try {
    readSync(file, begin, 0, begin.length, 0)
  } finally {
    closeSync(file)
  }
  if (begin.toString("latin1") !== HEADER)
    throw new Refusal(
      "Refused",
      `${path} is no log of this gateway, but something else or damaged: name another file, or move it away`
    )
  return false
}

/** Whether SQLite will use nothing of the write-ahead log, because of how it begins: it does not say so. */
const isWalIgnored = () => {
  const { size = 0 } = statSync(`${path}-wal`, { throwIfNoEntry: false }) ?? {}
  const header = Buffer.alloc(32)
  if (size === 0) return false
  const file = openSync(`${path}-wal`, "r")
  try {
    readSync(file, header, 0, header.length, 0)
  } finally {
    closeSync(file)
  }
  const magic = header.readUInt32BE(0)
  if (magic !== 0x377f0682 && magic !== 0x377f0683) return true
  const word = (/** @type {number} */ at) => (magic % 2 === 1 ? header.readUInt32BE(at) : header.readUInt32LE(at))
  let [a, b] = [0, 0]
  for (let at = 0; at < 24; at += 8) {
    a = (a + word(at) + b) >>> 0
    b = (b + word(at + 4) + a) >>> 0
  }
  return a !== header.readUInt32BE(24) || b !== header.readUInt32BE(28)
}

/** A lock that ends with its process, however that ends: another program may read the file itself, for a backup. */
const lock = () => {
  try {
    const held = new DatabaseSync(`${path}.lock`)
    held.exec("BEGIN EXCLUSIVE")
    return held
  } catch (error) {
    if (codeOf(error) === 5)
      throw new Refusal(
        "Refused",
        `another gateway has the log in ${path}: a file has one gateway. Stop the other one, give this one a file of its own, or let both share a Redis`
      )
    throw new Refusal(
      "Refused",
      `${path}.lock cannot be made or locked (${textOf(error)}): the gateway writes ${path}, and makes others beside it`
    )
  }
}

/** @param {string} text */
const sumOf = (text) => crc32(text)

/** @param {DatabaseSync} database @param {string} pragma */
const numberOf = (database, pragma) => Number(Object.values(database.prepare(`PRAGMA ${pragma}`).get() ?? {})[0])

/** Looks at what is there. @param {DatabaseSync} database @returns {number | undefined} its format; of a new one `undefined` */
const check = (database) => {
  const application = numberOf(database, "application_id")
  const tables = Number(database.prepare("SELECT count(*) AS n FROM sqlite_master").get()?.["n"])
  if (application === 0 && tables === 0) return undefined
  if (application !== APPLICATION)
    throw new Refusal("Refused", `${path} is the database of another program: name another file`)
  const format = numberOf(database, "user_version")
  if (format !== FORMAT && !STEPS.has(format))
    throw new Refusal(
      "Format",
      `${path} has format ${format}, and this version reads formats up to ${FORMAT}: ${format > FORMAT ? "run the newer version that wrote it" : "run the older version that wrote it"}, or name another file to begin an empty log`
    )
  for (const row of database.prepare("PRAGMA integrity_check(1)").all()) {
    const [said] = Object.values(row)
    if (said !== "ok") throw damaged(String(said).replaceAll("\n", " "))
  }
  return format
}

/** Makes a file of an older format one of this format, or leaves it as it is. @param {DatabaseSync} database @param {number} format */
const carryOver = (database, format) => {
  // A damaged file must stay what it was.
  for (const [table, column] of [
    ["log", "packed"],
    ["meta", "value"],
    ["idem", "value"]
  ]) {
    for (const row of database.prepare(`SELECT ${column} AS text, sum FROM ${table}`).iterate())
      if (sumOf(String(row["text"])) !== row["sum"]) throw damaged(`a row of ${table} is not what was written`)
  }
  database.exec(`BEGIN EXCLUSIVE; ${stepsFrom(format)} PRAGMA user_version = ${FORMAT}; COMMIT`)
}

const open = () => {
  const isNothing = lookAtFile()
  const isWalLost = isWalIgnored()
  // To look must not make a file.
  const held = isNothing && isLook ? new DatabaseSync(":memory:") : lock()
  try {
    const database = new DatabaseSync(isNothing && isLook ? ":memory:" : path)
    database.exec(`PRAGMA busy_timeout = ${PATIENCE}`)
    const format = check(database)
    const opened = { isNew: format === undefined, isWalLost, formatBefore: format === FORMAT ? undefined : format }
    if (isLook) {
      if (opened.isNew) database.exec(CREATE)
      return { database, held, opened }
    }
    database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${durability === "disk" ? "FULL" : "NORMAL"};
      PRAGMA journal_size_limit = ${WAL_BYTES}`)
    if (format === undefined)
      database.exec(
        `BEGIN; ${CREATE} ${stepsFrom(1)} PRAGMA application_id = ${APPLICATION}; PRAGMA user_version = ${FORMAT}; COMMIT`
      )
    else if (format !== FORMAT) carryOver(database, format)
    return { database, held, opened }
  } catch (error) {
    held.close()
    if (error instanceof Refusal) throw error
    const code = codeOf(error)
    if (code === 11 || code === 26) throw damaged(textOf(error))
    if (code === 13) throw new Refusal("Refused", `there is no space left for ${path}`)
    throw new Refusal("Refused", `${path} cannot be opened: ${textOf(error)}`)
  }
}

/** @param {ReturnType<typeof open>} opened */
const journal = ({ database, held }) => {
  const insertRow = database.prepare("INSERT INTO log VALUES (?, ?, ?)")
  const insertKey = database.prepare("INSERT OR REPLACE INTO idem VALUES (?, ?, ?)")
  const deleteKey = database.prepare("DELETE FROM idem WHERE key = ?")
  const insertMeta = database.prepare("INSERT OR REPLACE INTO meta VALUES (?, ?, ?)")
  const readRows = database.prepare(`SELECT seq, packed, sum FROM log WHERE seq > ? ORDER BY seq LIMIT ${PAGE}`)
  const readOld = database.prepare(
    `SELECT seq, length(packed) AS size FROM log WHERE seq > ? AND seq < ? ORDER BY seq LIMIT ${PAGE}`
  )
  const deleteRow = database.prepare("DELETE FROM log WHERE seq = ?")

  /** @param {() => void} work */
  const transaction = (work) => {
    database.exec("BEGIN IMMEDIATE")
    try {
      work()
      database.exec("COMMIT")
    } catch (error) {
      try {
        database.exec("ROLLBACK")
      } catch {
        // SQLite has rolled back already.
      }
      throw error
    }
  }

  /** @param {Record<string, unknown> | undefined} row @param {string} column @param {string} what */
  const checked = (row, column, what) => {
    const text = String(row?.[column])
    if (sumOf(text) !== row?.["sum"]) throw damaged(`${what} is not what was written`)
    return text
  }

  /** Deleted so far, while rows are swept. @type {{ readonly first: number, readonly older: ReadonlyArray<number>, at: number, after: number } | undefined} */
  let sweep

  return {
    /** @param {{ readonly name: string }} request */
    meta: ({ name }) => {
      const row = database.prepare("SELECT value, sum FROM meta WHERE name = ?").get(name)
      return row === undefined ? undefined : checked(row, "value", `meta ${name}`)
    },
    /** @param {{ readonly name: string, readonly value: string }} request */
    setMeta: ({ name, value }) => transaction(() => insertMeta.run(name, value, sumOf(value))),
    /** @param {{ readonly after: number }} request */
    rows: ({ after }) =>
      readRows.all(after).map((row) => {
        const text = checked(row, "packed", `event ${row["seq"]}`)
        if (text.slice(0, text.indexOf(" ")) !== String(row["seq"])) throw damaged(`event ${row["seq"]} is another one`)
        return text
      }),
    /** @param {{ readonly capacity: number }} request */
    historyFrom: ({ capacity }) => {
      const newest = database.prepare("SELECT max(seq) AS seq FROM log").get()?.["seq"]
      if (typeof newest !== "number") return undefined
      const oldest = newest - capacity + 1
      const gap = database
        .prepare(
          "SELECT seq FROM log AS a WHERE seq > ? AND NOT EXISTS (SELECT 1 FROM log WHERE seq = a.seq - 1) ORDER BY seq DESC LIMIT 1"
        )
        .get(oldest)?.["seq"]
      return typeof gap === "number" ? gap : Math.max(1, oldest)
    },
    keys: () =>
      database
        .prepare("SELECT key, value, sum FROM idem ORDER BY rowid")
        .all()
        .map((row) => {
          const value = checked(row, "value", "an idempotency key")
          if (JSON.parse(value)[0] !== row["key"]) throw damaged("an idempotency key is another one")
          return value
        }),
    /** Names that are remembered as revoked, and when, oldest first. */
    revoked: () =>
      database
        .prepare("SELECT name, value, sum FROM revoked ORDER BY rowid")
        .all()
        .map((row) => {
          const value = checked(row, "value", "a revocation")
          if (JSON.parse(value)[0] !== row["name"]) throw damaged("a revocation is another one")
          return value
        }),
    /** @param {{ readonly name: string, readonly value: string, readonly most: number }} request */
    revoke: ({ most, name, value }) =>
      transaction(() => {
        database.prepare("INSERT OR REPLACE INTO revoked VALUES (?, ?, ?)").run(name, value, sumOf(value))
        database
          .prepare("DELETE FROM revoked WHERE rowid NOT IN (SELECT rowid FROM revoked ORDER BY rowid DESC LIMIT ?)")
          .run(most)
      }),
    /** Moves all that was written into the file itself. */
    checkpoint: () => database.exec("PRAGMA wal_checkpoint(TRUNCATE)"),
    /** @param {{ readonly first: number, readonly packed: ReadonlyArray<string>, readonly keys: ReadonlyArray<readonly [string, string]>, readonly forgotten: ReadonlyArray<string> }} request */
    commit: ({ first, forgotten, keys, packed }) =>
      transaction(() => {
        for (const key of forgotten) deleteKey.run(key)
        packed.forEach((text, i) => {
          insertRow.run(first + i, text, sumOf(text))
        })
        for (const [key, value] of keys) insertKey.run(key, value, sumOf(value))
        // Something must be written, or a disk that is full goes unnoticed.
        if (packed.length + keys.length + forgotten.length === 0) insertMeta.run("probe", "", sumOf(""))
      }),
    /** @param {{ readonly first: number, readonly older: ReadonlyArray<number> }} request */
    sweep: ({ first, older }) => {
      sweep = { first, older, at: 0, after: -1 }
    },
    /** Deletes what nothing needs of one page, and answers how many characters that were; `undefined` at the end. */
    sweepPage: () => {
      const { first = 0, older = [] } = sweep ?? {}
      const rows = sweep === undefined ? [] : readOld.all(sweep.after, first)
      if (sweep === undefined || rows.length === 0) {
        sweep = undefined
        return undefined
      }
      let { after, at } = sweep
      let characters = 0
      transaction(() => {
        for (const { seq, size } of rows) {
          after = Number(seq)
          while (at < older.length && Number(older[at]) < after) at++
          if (older[at] === after) continue
          deleteRow.run(after)
          characters += Number(size)
        }
      })
      sweep.at = at
      sweep.after = after
      return characters
    },
    close: () => {
      try {
        database.exec("PRAGMA wal_checkpoint(TRUNCATE)")
      } finally {
        database.close()
        held.close()
      }
    }
  }
}

const port = parentPort
if (port === null) throw new Error("this is the thread of a log, and no program")

/** @param {unknown} error */
const failure = (error) => ({
  reason: error instanceof Refusal ? error.reason : codeOf(error) === 11 || codeOf(error) === 26 ? "Damaged" : "Failed",
  code: error instanceof Error && "errcode" in error ? error.errcode : 0,
  message: textOf(error)
})

try {
  const opened = open()
  const requests = journal(opened)
  port.on(
    "message",
    (/** @type {{ readonly name: keyof typeof requests, readonly request: never }} */ { name, request }) => {
      try {
        port.postMessage({ value: requests[name](request) })
      } catch (error) {
        port.postMessage({ failure: failure(error) })
      }
      if (name === "close") port.close()
    }
  )
  port.postMessage({ value: opened.opened })
} catch (error) {
  port.postMessage({ failure: failure(error) })
  port.close()
}
