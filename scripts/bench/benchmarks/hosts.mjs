import { idle } from "./idle.mjs"

export const hosts = {
  title: "Guests: idle connections by the kind of host",
  about:
    "As idle connections, on the service's own server (ours) and on each kind of host of an Effect application: routes of `HttpLayerRouter`, `HttpApiBuilder` and `HttpRouter`; an `HttpServer` that takes the upgrades itself (`StatusSyncHttpServer`); and, for comparison, the platform's own `request.upgrade` with a fiber for each connection, which is greeted and does nothing.",
  peers: ["ours", "httpServer", "httpLayerRouter", "httpApi", "httpRouter", "platformUpgrade"],
  rounds: 2,
  measure: idle.measure
}
