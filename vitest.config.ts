import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // Forks, not threads: some tests open thousands of sockets, and their end must give every descriptor back.
    pool: "forks"
  }
})
