/** Well-behaved clients in a process of their own: they tell how late what concerns them came. */
import WebSocket from "ws"

const { count, port, token } = JSON.parse(process.argv[2] ?? "{}")

let latencies = []
let closed = 0

const join = () =>
  new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/?agents=bystander`, {
      perMessageDeflate: false,
      ...(token !== undefined && { headers: { authorization: `Bearer ${token}` } })
    })
    socket.on("message", (data) => {
      const { eventType, payload } = JSON.parse(data.toString())
      if (eventType === "stratix:tick") latencies.push(performance.timeOrigin + performance.now() - payload.due)
    })
    socket.on("close", () => closed++)
    socket.once("open", resolve).once("error", reject)
  })

await Promise.all(Array.from({ length: count }, join))
process.on("message", () => {
  latencies.sort((a, b) => a - b)
  const at = (share) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? Number.NaN
  process.send?.({
    received: latencies.length,
    p50: at(0.5),
    p99: at(0.99),
    max: latencies.at(-1) ?? Number.NaN,
    closed
  })
  latencies = []
})
process.on("disconnect", () => process.exit())
process.send?.({ ready: true })
