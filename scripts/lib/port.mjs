/** The port a server listens on.
 * @type {(server: import("node:net").Server) => number} */
export const portOf = (server) => {
  const address = server.address()
  return typeof address === "object" && address !== null ? address.port : 0
}
