/** The process of a gateway under test, composed as a user's application is. Its parent is `gateway-process.mjs`; it ends with SIGTERM. */
import { NodeRuntime } from "@effect/platform-node"
import { Deferred, Effect, Fiber, Layer, Logger } from "effect"
import { NodeServer, StatusSyncServer } from "stratix-status-sync"
import { portOf } from "./port.mjs"

/** @typedef {import("effect").Layer.Layer.Success<ReturnType<typeof StatusSyncServer.layerLoopback>>} Services */
/** @typedef {Partial<StatusSyncServer.LoopbackSettings>} Settings */

/** What its parent gave it. */
export const given = JSON.parse(process.argv[2] ?? "{}")

// What would end the process, or hints at a leak, is told; the parent counts it as an error.
const broken = (what) => (error) => process.send?.({ error: `${what}: ${error?.stack ?? error}` })
process.on("unhandledRejection", broken("unhandled rejection"))
process.on("uncaughtExceptionMonitor", broken("uncaught exception"))
process.on("warning", broken("warning"))

const TELL_MS = 100

/** Publishes from when it is asked to `publish` until it is asked to `stop`, answers to `report`, and sends what `news` has, ten times a second.
 * @template A, B
 * @param {{
 *   readonly news: () => import("node:child_process").Serializable | undefined,
 *   readonly publisher: Effect.Effect<A, unknown, Services>,
 *   readonly report: Effect.Effect<B, unknown, Services>,
 *   readonly settings?: Settings,
 *   readonly around?: import("effect").Layer.Layer<never>
 * }} options */
export const run = ({ around = Layer.empty, news, publisher, report, settings = {} }) => {
  const tell = () => {
    const message = news()
    if (message !== undefined) process.send?.(message)
  }
  const program = Effect.gen(function* () {
    const server = yield* NodeServer.NodeServer
    const { context } =
      yield* /** @type {Effect.Effect<import("effect").Runtime.Runtime<Services>, never, Services>} */ (
        Effect.runtime()
      )
    const begun = yield* Deferred.make()
    const publishing = yield* Effect.fork(Effect.zipRight(Deferred.await(begun), publisher))
    /** @type {{ readonly [name: string]: Effect.Effect<unknown, unknown, Services> }} */
    const questions = {
      publish: Deferred.succeed(begun, undefined),
      stop: Effect.as(Effect.tap(Fiber.interrupt(publishing), Effect.sync(tell)), true),
      report
    }
    process.on("message", ({ ask, id }) => {
      const answered = questions[ask] ?? Effect.dieMessage("there is no such question")
      Effect.runPromise(Effect.provide(answered, context)).then(
        (answer) => process.send?.({ id, answer }),
        broken(`the question ${ask}`)
      )
    })
    const telling = setInterval(tell, TELL_MS)
    process.send?.({ port: portOf(server) })
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        clearInterval(telling)
        process.disconnect?.()
      })
    )
    yield* Effect.never
  }).pipe(Effect.scoped)

  NodeRuntime.runMain(
    program.pipe(
      Effect.provide(StatusSyncServer.layerLoopback({ port: 0, ...settings })),
      Effect.provide(around),
      Effect.provide(Logger.json)
    ),
    { disablePrettyLogger: true }
  )
}
