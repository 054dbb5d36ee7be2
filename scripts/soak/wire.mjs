/** A TCP proxy in a process of its own, for a soak to kill: `node wire.mjs <port> <target port>`. */
import { connect, createServer } from "node:net"

const [port, target] = process.argv.slice(2).map(Number)

createServer((near) => {
  const far = connect(target ?? 0, "127.0.0.1")
  for (const socket of [near, far]) {
    socket.setNoDelay(true)
    socket.on("error", () => {
      near.destroy()
      far.destroy()
    })
  }
  near.pipe(far).pipe(near)
}).listen(port, "127.0.0.1")
