import { defineConfig } from "vitest/config"

/** Tests that replace modules: they need modules of their own. */
const isolated = "test/**/*.isolated.test.ts"

/** Tests that start other programs: browsers, gateways as processes, Redis, proxies. `npm run test:e2e` */
const endToEnd = "test/**/*.e2e.test.ts"

/** Tests that install the package anew, which takes minutes: `npm run check-deploy`. */
const installing = "test/**/*.install.test.ts"

/** End-to-end tests to leave out, as patterns with commas between them; for runs on other versions of Node. */
const elsewhere = process.env["TEST_EXCLUDE"]?.split(",") ?? []

export default defineConfig({
  // The package by its own name is its source: see the conditions in package.json "exports".
  // Not "module": what packages have under it is for bundlers, and node cannot load all of it.
  ssr: { resolve: { conditions: ["stratix-source", "node", "development|production"] } },
  test: {
    // Forks, not threads: some tests open thousands of sockets, and their end must give every descriptor back.
    pool: "forks",
    // All processors: many tests wait for programs they started.
    maxWorkers: "100%",
    minWorkers: 1,
    // One load of the modules for each process, not for each file. Whether a process takes a second file is the root's to say, not a project's.
    isolate: false,
    // For what hangs. On a busy machine a test that starts programs takes longer than vitest's five seconds.
    testTimeout: 30_000,
    hookTimeout: 30_000,
    projects: [
      {
        extends: true,
        test: {
          name: "shared",
          include: ["test/**/*.test.ts", "examples/**/*.test.ts"],
          exclude: [isolated, endToEnd, installing]
        }
      },
      { extends: true, test: { name: "isolated", include: [isolated], isolate: true } },
      { extends: true, test: { name: "end-to-end", include: [endToEnd], exclude: elsewhere } },
      { extends: true, test: { name: "installing", include: [installing] } }
    ]
  }
})
