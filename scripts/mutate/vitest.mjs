// @ts-check
/** One vitest for one source file: serves it with its mutants in it, and starts runner.mjs in one process that stays warm. */
import { readFile } from "node:fs/promises"
import { createVitest } from "vitest/node"
import { watchdog } from "./watchdog.mjs"

/** What the first run learnt.
 * @typedef {{ atLoad: Counts, perTest: { [test: string]: Counts }, durations: ReadonlyArray<[string, number]> }} Coverage */
/** @typedef {{ [mutant: string]: number }} Counts */
/** @typedef {{ source: string, instrumented: string, tests: ReadonlyArray<string>, mutants: ReadonlyArray<string>, results: string, timeout: number,
 *    known?: Coverage }} Job */

const root = new URL("../../", import.meta.url).pathname
watchdog({ group: true })

/** @type {Job} */
const job = JSON.parse(await readFile(process.argv[2] ?? "", "utf8"))

const vitest = await createVitest(
  "test",
  {
    root,
    config: false,
    watch: false,
    reporters: [{}],
    include: ["scripts/mutate/start.mjs"],
    pool: "forks",
    poolOptions: { forks: { singleFork: true } },
    isolate: false,
    fileParallelism: false,
    runner: `${root}scripts/mutate/runner.mjs`,
    testTimeout: job.timeout,
    hookTimeout: job.timeout,
    dangerouslyIgnoreUnhandledErrors: true,
    provide: { mutate: job }
  },
  {
    ssr: { resolve: { conditions: ["stratix-source", "node", "development|production"] } },
    plugins: [
      {
        name: "mutants",
        enforce: "pre",
        load: (id) => (id.split("?")[0] === job.source ? readFile(job.instrumented, "utf8") : undefined)
      }
    ]
  }
)
await vitest.start()
await vitest.close()
