/** The house rules of docs and CONTRIBUTING that a reviewer should not have to look for. Circles are the linter's: `noImportCycles` in biome.jsonc. */
import { spawnSync } from "node:child_process"
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { crowdedFolders, longFiles, sourceFiles, unmarkedPrograms, unsafeDensity, upwardImports } from "./house.js"

const root = fileURLToPath(new URL("../..", import.meta.url))
const src = sourceFiles(join(root, "src"))
const tests = sourceFiles(join(root, "test"))

/** What a reader can hold in mind: a folder at a glance, a file in one sitting. */
const FILES_PER_FOLDER = 14
const LINES_PER_FILE = 420

/** Twice what Effect's own packages have: most of ours is at the boundary to callbacks. */
const UNSAFE_PER_THOUSAND_LINES = 12

describe("the house", () => {
  it("imports go down only, types included", () => {
    assert.deepStrictEqual(upwardImports(src), [])
  })

  it(`no folder has more than ${FILES_PER_FOLDER} files`, () => {
    for (const tree of [src, tests]) assert.deepStrictEqual(crowdedFolders(tree, FILES_PER_FOLDER), [])
  })

  it(`no file has more than ${LINES_PER_FILE} lines`, () => {
    for (const tree of [src, tests]) assert.deepStrictEqual(longFiles(tree, LINES_PER_FILE), [])
  })

  it("`unsafe` is rare in the gateway", () => {
    const gateway = src.filter(({ path }) => path.startsWith("stratix-gateway/"))
    assert.isAtMost(unsafeDensity(gateway), UNSAFE_PER_THOUSAND_LINES)
  })
})

describe("a house with planted faults", () => {
  let folder = ""
  const plant = (path: string, text: string) => {
    const file = join(folder, "src", path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
  }
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "stratix-house-"))
    cpSync(join(root, "biome.jsonc"), join(folder, "biome.jsonc"))
    symlinkSync(join(root, "node_modules"), join(folder, "node_modules"))
    writeFileSync(join(folder, ".gitignore"), "node_modules\n")
    // A circle of types alone.
    plant("stratix-core/A.ts", 'import type { B } from "./B.js"\n\nexport interface A {\n  readonly b?: B\n}\n')
    plant("stratix-core/B.ts", 'import type { A } from "./A.js"\n\nexport interface B {\n  readonly a?: A\n}\n')
    // Upwards: by type, by re-export, in a dynamic import, and between packages.
    plant(
      "stratix-gateway/runtime/Low.ts",
      'import type { High } from "../api/http/High.js"\n\nexport type Low = High\n'
    )
    plant("stratix-gateway/api/http/High.ts", 'export * from "../../main.js"\n\nexport type High = 1\n')
    plant(
      "stratix-gateway/main.ts",
      'import "./runtime/Low.js"\n\nexport const testing = import("../stratix-testing/T.js")\n'
    )
    plant(
      "stratix-client/C.ts",
      'import {\n  type Low\n} from "../stratix-gateway/runtime/Low.js"\n\nexport type C = Low\n'
    )
    plant("stratix-gateway/attic/Lost.ts", "// unsafe, unsafeOffer\n")
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it("fails the linter on a circle, even of types", () => {
    const biome = createRequire(import.meta.url).resolve("@biomejs/biome/bin/biome")
    const lint = (path: string) =>
      spawnSync(process.execPath, [biome, "lint", "--error-on-warnings", path], { cwd: folder, encoding: "utf8" })
    const circle = lint("src/stratix-core")
    assert.strictEqual(circle.status, 1, circle.stderr)
    assert.match(circle.stdout + circle.stderr, /A\.ts.*lint\/suspicious\/noImportCycles/)
  })

  it("fails on upward imports of every form, and in a room without a rank", () => {
    assert.deepStrictEqual(upwardImports(sourceFiles(join(folder, "src"))), [
      "stratix-client/C.ts imports stratix-gateway/runtime/Low.js",
      "stratix-gateway/api/http/High.ts imports stratix-gateway/main.js",
      "stratix-gateway/attic/Lost.ts is in no room that test/project/house.ts knows",
      "stratix-gateway/main.ts imports stratix-testing/T.js",
      "stratix-gateway/runtime/Low.ts imports stratix-gateway/api/http/High.js"
    ])
  })

  it("fails on crowds, on long files and on `unsafe`", () => {
    const planted = sourceFiles(join(folder, "src"))
    assert.deepStrictEqual(crowdedFolders(planted, 1), ["stratix-core has 2 files"])
    assert.deepStrictEqual(longFiles(planted, 4), [
      "stratix-client/C.ts has 5 lines",
      "stratix-core/A.ts has 5 lines",
      "stratix-core/B.ts has 5 lines"
    ])
    assert.strictEqual(unsafeDensity(planted.filter(({ path }) => path.includes("attic"))), 2000)
  })
})

describe("tests", () => {
  it("replace modules only where they have modules of their own", () => {
    const replacing = sourceFiles("test").filter(({ text }) => /^vi\.(mock|doMock)\(/m.test(text))
    assert.isNotEmpty(replacing)
    for (const { path } of replacing) assert.match(path, /\.isolated\.test\.ts$/)
  })

  it("that start other programs are end-to-end tests, so that the others need nothing but Node", () => {
    // These start Node alone: with the linter, and with a step of the build.
    assert.deepStrictEqual(unmarkedPrograms(tests), ["project/hosts.test.ts", "project/house.test.ts"])
  })

  it("that start a program through a helper are told", () => {
    const planted = [
      { path: "a/One.test.ts", text: 'import { run } from "../support/run.js"\n' },
      { path: "a/Two.e2e.test.ts", text: 'import { run } from "../support/run.js"\n' },
      { path: "a/Three.test.ts", text: 'import type { ChildProcess } from "node:child_process"\n' },
      { path: "support/run.ts", text: 'import { spawn } from "node:child_process"\n' }
    ]
    assert.deepStrictEqual(unmarkedPrograms(planted), ["a/One.test.ts"])
  })
})
