// @ts-check
/** Feeds a running gateway with a believable stream of agents and commands, through its HTTP API. */
import { setTimeout as sleep } from "node:timers/promises"
import { parseArgs } from "node:util"

const USAGE = `usage: npm run demo -- [--seconds N] [--rate R] [--seed S]

  --seconds N    stop after N seconds (otherwise: Ctrl-C)
  --rate R       events per second, 4 if absent
  --seed S       a whole number, 1 if absent; the same seed tells the same story

  STRATIX_URL    where the gateway is, http://127.0.0.1:3001 if absent
  STRATIX_TOKEN  bearer token, if the gateway asks for one`

/** A gateway that takes longer to answer does not answer. */
const ANSWER_TIMEOUT_MS = 5000

/** Longest wait that a gateway is granted (`Retry-After`), so that a wrong number cannot hold the demo for a day. */
const LONGEST_WAIT_MS = 60_000

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

/** @typedef {{ agentId: string, name: string, type: string, commandId?: string | undefined }} Agent */
/** @typedef {{ commandStatus: string, progress?: number, result?: object, error?: string }} CommandState */
/** @typedef {{ method: "POST" | "PUT", path: string, body: object, line: string }} Step */

/** @type {(agent: Agent) => Step} */
const created = ({ agentId, name, type }) => ({
  method: "POST",
  path: "/api/stratix/agents",
  body: { agentId, name, type },
  line: `agent    ${agentId}  created  ${name} (${type})`
})

/** @type {(agent: Agent, status: string) => Step} */
const agentIs = ({ agentId, name }, status) => ({
  method: "PUT",
  path: `/api/stratix/agents/${agentId}/status`,
  body: { status },
  line: `agent    ${agentId}  ${status.padEnd(7)}  ${name}`
})

/** @type {(agent: Agent, commandId: string, state: CommandState) => Step} */
const commandIs = ({ agentId, name }, commandId, state) => {
  const { commandStatus, error, progress, result } = state
  const said = [error, result && JSON.stringify(result), progress !== undefined && `${progress} %`].find(Boolean)
  return {
    method: "PUT",
    path: `/api/stratix/commands/${commandId}/status`,
    body: { agentId, ...state },
    line: `command  ${commandId.padEnd(9)}  ${commandStatus.padEnd(7)}  ${name}${said ? `: ${said}` : ""}`
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
    yield agentIs(agent, "online")
    for (;;) {
      const commandId = `cmd-${String(++commands).padStart(4, "0")}`
      const fate = random()
      const endsAt = fate < 0.2 ? between(1, 99) : 100
      agent.commandId = commandId
      yield commandIs(agent, commandId, { commandStatus: "pending" })
      yield agentIs(agent, "busy")
      for (let progress = 0; progress < endsAt; progress += between(10, 35)) {
        yield commandIs(agent, commandId, { commandStatus: "running", progress })
      }
      agent.commandId = undefined
      if (endsAt === 100) {
        const result = { files: between(1, 9), tokens: between(200, 9000) }
        yield commandIs(agent, commandId, { commandStatus: "success", progress: 100, result })
      } else {
        const error = ERRORS[between(0, ERRORS.length - 1)] ?? "failed"
        yield commandIs(agent, commandId, { commandStatus: "failed", error })
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
          yield commandIs(agent, agent.commandId, { commandStatus: "failed", error: "the demo was stopped" })
        }
        yield agentIs(agent, "offline")
      }
    }
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// The telling

/** How long a refusal asks to wait: `Retry-After` in seconds or as a date; a second where it does not say.
 * @type {(header: string | null) => number} */
const waitAsked = (header) => {
  if (header === null) return 1000
  const seconds = Number(header)
  const millis = Number.isNaN(seconds) ? Date.parse(header) - Date.now() : seconds * 1000
  return Number.isNaN(millis) ? 1000 : Math.min(Math.max(millis, 0), LONGEST_WAIT_MS)
}

/** Publishes one step, as late as the gateway asks for. Answers whether it was published: not if the demo is stopped meanwhile.
 * @type {(settings: ReturnType<typeof readSettings>, step: Step, stop: AbortSignal) => Promise<boolean>} */
const publish = async ({ token, url }, step, stop) => {
  for (;;) {
    const response = await fetch(`${url}${step.path}`, {
      method: step.method,
      headers: { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) },
      body: JSON.stringify(step.body),
      signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS)
    }).catch((error) => {
      throw new Complaint(
        `No gateway answers at ${url} (${error.cause?.code ?? error.message}). Start one with: npm start\n` +
          "If it is elsewhere, say where: STRATIX_URL=http://host:port npm run demo"
      )
    })
    const answer = await response.text()
    if (response.status === 202) return true
    if (response.status === 401 || response.status === 403) {
      throw new Complaint(`The gateway at ${url} does not let the demo publish. Set STRATIX_TOKEN.\n${answer}`)
    }
    if (response.status !== 429 && response.status !== 503) {
      throw new Complaint(`${url} answers ${response.status}, not as a Stratix gateway does: ${answer.slice(0, 200)}`)
    }
    const wait = waitAsked(response.headers.get("retry-after"))
    console.log(`${clock()}  the gateway answers ${response.status}: waiting ${wait / 1000} s`)
    if (!(await pause(wait, stop))) return false
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
  /** @type {(step: Step) => Promise<void>} */
  const tell = async (step) => {
    if (!(await publish(settings, step, stop))) return
    published++
    console.log(`${clock()}  ${step.line}`)
  }
  try {
    let due = performance.now()
    while (!stop.aborted) {
      await tell(story.next())
      // Late is late: a pause of the gateway is not made up for with a burst.
      due = Math.max(due + 1000 / settings.rate, performance.now())
      await pause(due - performance.now(), stop)
    }
    for (const step of story.end()) await tell(step)
    console.log(`${clock()}  stopped after ${published} events`)
  } finally {
    clearTimeout(timer)
  }
}

await main().catch((error) => {
  if (!(error instanceof Complaint) && !String(error.code).startsWith("ERR_PARSE_ARGS")) throw error
  console.error(error.message)
  process.exitCode = 1
})
