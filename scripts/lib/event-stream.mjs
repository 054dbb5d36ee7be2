/** An event stream (`GET /api/stratix/stream`) with the face of a `ws` socket: as far as the scripts use it. */
import { EventEmitter } from "node:events"
import http from "node:http"

/** What a WebSocket says of an end without a close frame: a stream has no codes. */
const ABNORMAL = 1006

export class EventStream extends EventEmitter {
  #response
  #request
  #text = ""
  #paused = false

  /** `path`: with its query. */
  constructor(port, path) {
    super()
    const headers = { accept: "text/event-stream" }
    this.#request = http.get({ port, host: "127.0.0.1", path, headers, agent: false }, (response) => {
      if (response.statusCode !== 200) {
        this.emit("error", new Error(`Unexpected server response: ${response.statusCode}`))
        this.terminate()
        return
      }
      this.#response = response
      response.setEncoding("utf8").on("data", (text) => this.#read(text))
      response.on("error", () => undefined)
      if (this.#paused) response.pause()
      this.emit("open")
    })
    this.#request.on("error", (error) => this.emit("error", error))
    this.#request.on("close", () => this.emit("close", ABNORMAL))
  }

  get isPaused() {
    return this.#paused
  }

  pause() {
    this.#paused = true
    this.#response?.pause()
  }

  resume() {
    this.#paused = false
    this.#response?.resume()
  }

  close() {
    this.terminate()
  }

  terminate() {
    this.#request.destroy()
  }

  #read(text) {
    const parts = (this.#text + text).split("\n\n")
    this.#text = parts.pop() ?? ""
    for (const part of parts) {
      for (const line of part.split("\n")) if (line.startsWith("data: ")) this.emit("message", line.slice(6))
    }
  }
}
