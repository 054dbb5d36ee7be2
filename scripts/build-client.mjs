// @ts-check
// Makes packages/client from what `tsc` made: the clients, and the types of the protocol written out, so that they need no Effect.
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { typesOf } from "./lib/schema-types.mjs"

const path = (/** @type {string} */ name) => fileURLToPath(new URL(`../${name}`, import.meta.url))
const from = path("dist")
const target = path("packages/client/dist")

/** All but the one that is made of Effect. */
const isTaken = (/** @type {string} */ name) =>
  /^stratix-(client|hooks|publisher)\/.*(?<!StatusStream)\.(js|d\.ts)$/.test(name) ||
  /^stratix-core\/(close-codes|event-types)\.(js|d\.ts)$/.test(name)

await rm(target, { recursive: true, force: true })
for (const name of await readdir(from, { recursive: true })) {
  if (!isTaken(name.replaceAll("\\", "/"))) continue
  await mkdir(dirname(join(target, name)), { recursive: true })
  // Without the maps, which lead to sources that are not in this package.
  await writeFile(
    join(target, name),
    (await readFile(join(from, name), "utf8")).replace(/\n\/\/# sourceMappingURL=.*/, "")
  )
}
const schemas = await import(join(from, "stratix-core", "index.js"))
await writeFile(join(target, "stratix-core", "stratix-protocol.d.ts"), typesOf(schemas))
await writeFile(join(target, "stratix-core", "events.d.ts"), 'export type * from "./stratix-protocol.js"\n')
for (const name of ["client.js", "client.d.ts"]) await copyFile(join(from, name), join(target, name))
await copyFile(path("LICENSE"), path("packages/client/LICENSE"))
