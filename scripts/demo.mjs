// @ts-check
/** Feeds a running gateway with a believable stream of agents and commands, as agents of other processes do: through a publisher. */
import { setTimeout as sleep } from "node:timers/promises"
import { parseArgs } from "node:util"
import { createPublisher } from "stratix-status-sync/publisher"

const USAGE = `usage: npm run demo -- [--seconds N] [--rate R] [--seed S]

  --seconds N    stop after N seconds (otherwise: Ctrl-C)
  --rate R       events per second, 4 if absent
  --seed S       a whole number, 1 if absent; the same seed tells the same story

  STRATIX_URL    where the gateway is, http://127.0.0.1:3001 if absent
  STRATIX_TOKEN  bearer token, if the gateway asks for one`

/** Time for each of the last words, on a gateway that is busy or away. */
const LAST_WORDS_MS = 5000

/** Something the person at the terminal has to hear; ends the demo with exit code 1. */
class Complaint extends Error {}

// ---------------------------------------------------------------------------------------------------------------------
// Settings

/** @type {(name: string, text: string, valid: (value: number) => boolean, must: string) => number} */
const number = (name, text, valid, must) => {
  const value = Number(text)
  if (text.trim() === "" || !valid(value)) throw new Complaint(`--${name} must be ${must}, is "${text}"`)
  return value
}

/** @type {(value: number) => boolean} */
const positive = (value) => Number.isFinite(value) && value > 0

const readSettings = () => {
  const { values } = parseArgs({
    options: {
      seconds: { type: "string" },
      rate: { type: "string", default: "4" },
      seed: { type: "string", default: "1" },
      help: { type: "boolean", short: "h", default: false }
    }
  })
  const url = process.env["STRATIX_URL"] || "http://127.0.0.1:3001"
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    throw new Complaint(`STRATIX_URL must be like http://127.0.0.1:3001, is "${url}"`)
  }
  return {
    help: values.help,
    url: url.replace(/\/+$/, ""),
    token: process.env["STRATIX_TOKEN"],
    seconds: number("seconds", values.seconds ?? "1e9", positive, "a number above 0"),
    rate: number("rate", values.rate, positive, "a number above 0"),
    seed: number("seed", values.seed, Number.isInteger, "a whole number")
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// The story

/** mulberry32: small, and good enough to tell stories. @type {(seed: number) => () => number} */
const seeded = (seed) => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const CAST = [
  { agentId: "agent-001", name: "Scout", type: "researcher" },
  { agentId: "agent-002", name: "Mason", type: "coder" },
  { agentId: "agent-003", name: "Quill", type: "writer" },
  { agentId: "agent-004", name: "Argus", type: "reviewer" },
  { agentId: "agent-005", name: "Pilot", type: "operator" },
  { agentId: "agent-006", name: "Ember", type: "coder" }
]

const ERRORS = [
  "the model did not answer in time",
  "2 of 14 tests failed",
  "the page could not be read",
  "out of budget"
]

/** @typedef {import("stratix-status-sync/publisher").Publisher} Publisher */
/** @typedef {import("stratix-status-sync/publisher").PublishedAgent} PublishedAgent */
/** @typedef {Parameters<PublishedAgent["status"]>[0]} AgentStatus */
/** @typedef {Parameters<PublishedAgent["command"]>[1]} CommandStatus */
/** @typedef {{ progress?: number, result?: object, error?: string }} Details */
/** @typedef {{ agentId: string, name: string, type: string, commandId?: string | undefined, published?: PublishedAgent }} Agent */
/** What is told, and the lines that say so. @typedef {{ tell: (publisher: Publisher) => void, lines: Array<string> }} Step */

/** @type {(agent: Agent, status: AgentStatus) => string} */
const statusLine = ({ agentId, name }, status) => `agent    ${agentId}  ${status.padEnd(7)}  ${name}`

/** A new agent is online from now on. @type {(agent: Agent) => Step} */
const created = (agent) => {
  const { agentId, name, type } = agent
  return {
    tell: (publisher) => {
      agent.published = publisher.agent(agentId, { name, type })
    },
    lines: [`agent    ${agentId}  created  ${name} (${type})`, statusLine(agent, "online")]
  }
}

/** @type {(agent: Agent, status: AgentStatus) => Step} */
const agentIs = (agent, status) => ({
  tell: () => agent.published?.status(status),
  lines: [statusLine(agent, status)]
})

/** @type {(agent: Agent) => Step} */
const gone = (agent) => ({ tell: () => agent.published?.close(), lines: [statusLine(agent, "offline")] })

/** @type {(agent: Agent, commandId: string, status: CommandStatus, details?: Details) => Step} */
const commandIs = (agent, commandId, status, details = {}) => {
  const { error, progress, result } = details
  const said = [error, result && JSON.stringify(result), progress !== undefined && `${progress} %`].find(Boolean)
  return {
    tell: () => agent.published?.command(commandId, status, details),
    lines: [`command  ${commandId.padEnd(9)}  ${status.padEnd(7)}  ${agent.name}${said ? `: ${said}` : ""}`]
  }
}

/** What happens, without end. It remembers the agents and the command each one is at. @param {() => number} random */
const storyOf = (random) => {
  /** @type {(min: number, max: number) => number} */
  const between = (min, max) => min + Math.floor(random() * (max - min + 1))
  /** @type {Array<{ agent: Agent, life: Generator<Step, never> }>} */
  const lives = []
  let commands = 0

  /** @param {Agent} agent @returns {Generator<Step, never>} */
  function* lifeOf(agent) {
    yield created(agent)
    for (;;) {
      const commandId = `cmd-${String(++commands).padStart(4, "0")}`
      const fate = random()
      const endsAt = fate < 0.2 ? between(1, 99) : 100
      agent.commandId = commandId
      yield commandIs(agent, commandId, "pending")
      yield agentIs(agent, "busy")
      for (let progress = 0; progress < endsAt; progress += between(10, 35)) {
        yield commandIs(agent, commandId, "running", { progress })
      }
      agent.commandId = undefined
      if (endsAt === 100) {
        const result = { files: between(1, 9), tokens: between(200, 9000) }
        yield commandIs(agent, commandId, "success", { progress: 100, result })
      } else {
        const error = ERRORS[between(0, ERRORS.length - 1)] ?? "failed"
        yield commandIs(agent, commandId, "failed", { error })
        if (fate < 0.07) yield agentIs(agent, "error")
      }
      yield agentIs(agent, "online")
      if (random() < 0.05) {
        yield agentIs(agent, "offline")
        yield agentIs(agent, "online")
      }
    }
  }

  return {
    /** @returns {Step} */
    next: () => {
      const newcomer = CAST[lives.length]
      const comes = newcomer !== undefined && random() < 1 / (1 + 3 * lives.length)
      if (comes) {
        const agent = { ...newcomer }
        lives.push({ agent, life: lifeOf(agent) })
      }
      const someone = lives[comes ? lives.length - 1 : between(0, lives.length - 1)]
      if (someone === undefined) throw new Error("a story begins with an agent")
      return someone.life.next().value
    },
    /** What still has to be told, so that no dashboard shows agents at work that are gone. @returns {Generator<Step>} */
    *end() {
      for (const { agent } of lives) {
        if (agent.commandId !== undefined) {
          yield commandIs(agent, agent.commandId, "failed", { error: "the demo was stopped" })
        }
        yield gone(agent)
      }
    }
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// The telling

/** What the person at the terminal hears of a problem; what the demo cannot outlast ends it.
 * @type {(url: string, problem: import("stratix-status-sync/publisher").PublisherProblem, wasReached: boolean) => Complaint | undefined} */
const complaintOf = (url, problem, wasReached) => {
  switch (problem._tag) {
    case "Denied":
      return new Complaint(
        `The gateway at ${url} does not let the demo publish. Set STRATIX_TOKEN.\n${problem.message}`
      )
    case "Strange":
    case "Refused":
      return new Complaint(`${url} answers ${problem.message}, not as a Stratix gateway does`)
    case "Unreachable":
      if (!wasReached) {
        return new Complaint(
          `No gateway answers at ${url} (${problem.message}). Start one with: npm start\n` +
            "If it is elsewhere, say where: STRATIX_URL=http://host:port npm run demo"
        )
      }
      console.log(`${clock()}  the gateway is away: ${problem.message}`)
      return undefined
    default:
      console.log(`${clock()}  the gateway answers ${problem.message}: waiting`)
      return undefined
  }
}

/** Waits; answers whether it was to the end. @type {(millis: number, stop: AbortSignal) => Promise<boolean>} */
const pause = (millis, stop) => sleep(millis, true, { signal: stop }).catch(() => false)

const clock = () => new Date().toTimeString().slice(0, 8)

const main = async () => {
  const settings = readSettings()
  if (settings.help) return console.log(USAGE)
  const stopping = new AbortController()
  const stop = stopping.signal
  // A second signal changes nothing: what is left to tell is a dozen requests at the most.
  process.on("SIGINT", () => stopping.abort())
  process.on("SIGTERM", () => stopping.abort())
  const timer = setTimeout(() => stopping.abort(), Math.min(settings.seconds * 1000, 2 ** 31 - 1))

  const story = storyOf(seeded(settings.seed))
  let published = 0
  /** @type {Complaint | undefined} */
  let complaint
  const publisher = createPublisher({
    url: settings.url,
    token: settings.token,
    onProblem: (problem) => {
      complaint ??= complaintOf(settings.url, problem, published > 0)
      if (complaint !== undefined) stopping.abort()
    }
  })
  const stopped = new Promise((resolve) => stop.addEventListener("abort", () => resolve(false)))
  /** @type {(step: Step) => Promise<void>} */
  const tell = async ({ lines, tell }) => {
    tell(publisher)
    const told = await Promise.race([publisher.flush(), stopped])
    if (!told && (complaint !== undefined || !(await publisher.flush(LAST_WORDS_MS)))) return
    published += lines.length
    for (const line of lines) console.log(`${clock()}  ${line}`)
  }
  try {
    let due = performance.now()
    while (!stop.aborted) {
      await tell(story.next())
      // Late is late: a pause of the gateway is not made up for with a burst.
      due = Math.max(due + 1000 / settings.rate, performance.now())
      await pause(due - performance.now(), stop)
    }
    if (complaint !== undefined) throw complaint
    for (const { lines, tell } of story.end()) {
      tell(publisher)
      if (!(await publisher.flush(LAST_WORDS_MS))) break
      published += lines.length
      for (const line of lines) console.log(`${clock()}  ${line}`)
    }
    console.log(`${clock()}  stopped after ${published} events`)
  } finally {
    clearTimeout(timer)
    await publisher.close(0)
  }
}

await main().catch((error) => {
  if (!(error instanceof Complaint) && !String(error.code).startsWith("ERR_PARSE_ARGS")) throw error
  console.error(error.message)
  process.exitCode = 1
})
