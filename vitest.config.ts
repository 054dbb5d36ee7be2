import { defineConfig } from "vitest/config"

export default defineConfig({
  // The package by its own name is its source: see the conditions in package.json "exports".
  ssr: { resolve: { conditions: ["stratix-source", "module", "node", "development|production"] } },
  test: {
    include: ["test/**/*.test.ts", "examples/**/*.test.ts"],
    // Forks, not threads: some tests open thousands of sockets, and their end must give every descriptor back.
    pool: "forks",
    // For what hangs. On a busy machine a test that starts programs takes longer than vitest's five seconds.
    testTimeout: 30_000
  }
})
