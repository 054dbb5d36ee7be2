// @ts-check
/**
 * Completes package-lock.json. A dependency with a binary names one package for each platform, and `npm ci` refuses a lock that lacks any of
 * them; a registry that has those of some platforms only makes `npm install` write such a lock. What is missing is added with the version
 * that the dependency pins and the platform that the name says, without an integrity. With --check it only tells.
 */
import { readFile, writeFile } from "node:fs/promises"

const path = new URL("../package-lock.json", import.meta.url)
const lock = JSON.parse(await readFile(path, "utf8"))

const SYSTEMS = ["aix", "android", "darwin", "freebsd", "linux", "netbsd", "openbsd", "openharmony", "sunos", "win32"]
const PROCESSORS = ["arm", "arm64", "ia32", "loong64", "mips64el", "ppc64", "riscv64", "s390x", "x64"]

/** @type {(name: string, version: string, dev: boolean) => object} */
const entryOf = (name, version, dev) => {
  const words = name.replace(/^.*\//, "").split("-")
  const os = words.filter((word) => SYSTEMS.includes(word))
  const cpu = words.filter((word) => PROCESSORS.includes(word))
  const libc = words.flatMap((word) => (word.startsWith("musl") ? ["musl"] : word.startsWith("gnu") ? ["glibc"] : []))
  if (os.length !== 1 || cpu.length !== 1 || !/^\d+\.\d+\.\d+$/.test(version)) {
    throw new Error(
      `${name}@${version} is missing in package-lock.json, and its name does not say for which platform it is`
    )
  }
  return {
    version,
    cpu,
    ...(dev && { dev }),
    ...(os[0] === "linux" && libc.length > 0 && { libc }),
    optional: true,
    os
  }
}

/** @type {{ [path: string]: { dev?: boolean, optionalDependencies?: { [name: string]: string } } }} */
const packages = lock.packages
/** @type {{ [path: string]: object }} */
const missing = {}
for (const [parent, { dev, optionalDependencies }] of Object.entries(packages)) {
  for (const [name, version] of Object.entries(optionalDependencies ?? {})) {
    const at = `node_modules/${name}`
    if (at in packages || `${parent}/${at}` in packages) continue
    missing[at] = entryOf(name, version, dev === true)
  }
}

const names = Object.keys(missing)
if (names.length === 0) {
  console.log("package-lock.json is complete")
} else if (process.argv.includes("--check")) {
  console.error(
    `package-lock.json lacks ${names.length} packages of other platforms: run node scripts/complete-lock.mjs`
  )
  process.exitCode = 1
} else {
  const all = Object.entries({ ...packages, ...missing }).sort(([a], [b]) => a.localeCompare(b, "en"))
  await writeFile(path, `${JSON.stringify({ ...lock, packages: Object.fromEntries(all) }, null, 2)}\n`)
  console.log(`package-lock.json: added ${names.length} packages of other platforms`)
}
