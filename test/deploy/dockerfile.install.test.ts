import { execFile } from "node:child_process"
import { cp, mkdir, mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { afterAll, assert, describe, it } from "vitest"
import { startProgram } from "../stratix-gateway/support/standAlone.js"

// There is no container engine in most checks, so the steps of the Dockerfile are carried out as written in empty folders,
// one for each stage. What this cannot show: the base image, its user, and the engine's own signal handling.

const root = fileURLToPath(new URL("../..", import.meta.url))
const run = promisify(execFile)

interface Instruction {
  readonly name: string
  readonly text: string
}

const instructions = (file: string): ReadonlyArray<Instruction> =>
  file
    .replaceAll(/^#.*\n/gm, "")
    .replaceAll("\\\n", " ")
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => {
      const [name = "", ...rest] = line.trim().split(/\s+/)
      return { name, text: rest.join(" ") }
    })

/** The exec form of an instruction: a JSON array, so that there is no shell between the engine and the program. */
const execForm = (text: string): ReadonlyArray<string> => {
  const words: unknown = JSON.parse(text.slice(text.indexOf("[")))
  if (!Array.isArray(words)) throw new TypeError(`not in exec form: ${text}`)
  return words.map(String)
}

interface Stage {
  readonly folder: string
  environment: Record<string, string>
  workdir: string
  user: string
  healthCheck: ReadonlyArray<string>
  command: ReadonlyArray<string>
}

const build = async (folder: string, file: string): Promise<Stage> => {
  const stages = new Map<string, Stage>()
  let stage: Stage | undefined
  for (const { name, text } of instructions(file)) {
    if (name === "FROM") {
      const as = /\bAS (\w+)$/i.exec(text)?.[1] ?? "final"
      stage = { folder: join(folder, as), environment: {}, workdir: "/", user: "root", healthCheck: [], command: [] }
      stages.set(as, stage)
      continue
    }
    assert.isDefined(stage)
    const inside = (path: string) =>
      join(stage?.folder ?? "", path.startsWith("/") ? path : join(stage?.workdir ?? "", path))
    if (name === "WORKDIR") {
      stage.workdir = text
      await mkdir(inside("."), { recursive: true })
    } else if (name === "ENV") {
      for (const pair of text.split(" ")) {
        const [key = "", value = ""] = pair.split("=")
        stage.environment[key] = value
      }
    } else if (name === "COPY") {
      const words = text.split(" ")
      const from = words[0]?.startsWith("--from=")
        ? stages.get(words.shift()?.slice("--from=".length) ?? "")
        : undefined
      const to = words.pop() ?? ""
      for (const source of words) {
        const target = inside(to.endsWith("/") ? join(to, basename(source)) : to)
        await cp(from === undefined ? join(root, source) : join(from.folder, source), target, { recursive: true })
      }
    } else if (name === "RUN") {
      await run("sh", ["-c", text], { cwd: inside("."), env: { ...process.env, ...stage.environment } })
    } else if (name === "USER") stage.user = text
    else if (name === "HEALTHCHECK") stage.healthCheck = execForm(text)
    else if (name === "CMD") stage.command = execForm(text)
    else assert.include(["EXPOSE", "STOPSIGNAL"], name)
  }
  assert.isDefined(stage)
  return stage
}

describe("deploy/Dockerfile, its steps carried out in empty folders", () => {
  const folders: Array<string> = []
  afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))))

  it("makes a gateway that is healthy, is not root, and drains on SIGTERM", { timeout: 240_000 }, async () => {
    const folder = await mkdtemp(join(tmpdir(), "stratix-image-"))
    folders.push(folder)
    const image = await build(folder, await readFile(join(root, "deploy/Dockerfile"), "utf8"))
    assert.strictEqual(image.user, "node")

    const [program = "", ...args] = image.command
    assert.strictEqual(program, "node")
    const { stdout } = await run("du", ["-sm", image.folder])
    // Production dependencies and the build: 130 MB when this was written. Development dependencies would be 300 MB more.
    assert.isBelow(Number.parseInt(stdout, 10), 200)
    const settings = {
      ...image.environment,
      STRATIX_PORT: "0",
      STRATIX_TOKENS: JSON.stringify([{ name: "all", token: "all-0123456789abcdef", permissions: ["subscribe"] }])
    }
    const main = join(image.folder, image.workdir, args[0] ?? "")
    const gateway = startProgram(process.execPath, [main], settings)
    const [, port = ""] = await gateway.prints(/ready on ws:\/\/0\.0\.0\.0:(\d+)\//)
    const [, ...health] = image.healthCheck
    await run(process.execPath, health, { env: { ...process.env, STRATIX_PORT: port } })
    gateway.child.kill("SIGTERM")
    const ended = await gateway.ended
    assert.notStrictEqual(ended.signal, "SIGKILL")
    await run(process.execPath, health, { env: { ...process.env, STRATIX_PORT: port } }).then(
      () => assert.fail("a gateway that has ended is not healthy"),
      () => undefined
    )
  })
})
