/** Waiting for what is observable, as the suites of the test kit do it. */
export * from "../../src/stratix-testing/suites/waiting.js"
