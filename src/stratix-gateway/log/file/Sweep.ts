/**
 * Deletes what nothing needs any more, so that the file is bounded as the memory is: once there is as much of it as of the rest.
 */
import * as Either from "effect/Either"
import type { Mirror } from "../mirror/Mirror.js"
import type { Journal } from "./Journal.js"

/** Characters that may be there beyond twice what was there after the last sweep: to sweep costs a look at the whole state. */
const SLACK = 1024 * 1024

/** Sweeps page by page, between batches. */
export class Sweep {
  private limit: number
  private isSweeping = false
  /** Characters of what was there when the sweep began, without what it has deleted. */
  private needed = 0

  /** `characters`: of all events in the file. */
  constructor(
    private readonly journal: Journal,
    private readonly mirror: Mirror,
    private characters: number
  ) {
    // What of it is needed is not known yet.
    this.limit = SLACK
  }

  /** So many characters were added. */
  grown(characters: number): void {
    this.characters += characters
    if (this.characters <= this.limit || this.isSweeping) return
    this.isSweeping = true
    this.needed = this.characters
    const { first, forgotten, older } = this.mirror.retained()
    // Before anything is deleted: what it says of removals is then not in the file any more.
    this.journal.ask("setMeta", { name: "forgotten", value: String(forgotten) }, (answer) => {
      if (Either.isLeft(answer)) return this.end()
      this.journal.ask("sweep", { first, older }, () => this.page())
    })
  }

  private page(): void {
    this.journal.ask("sweepPage", undefined, (answer) => {
      if (Either.isLeft(answer) || answer.right === undefined) return this.end()
      this.characters -= answer.right
      this.needed -= answer.right
      this.page()
    })
  }

  private end(): void {
    this.isSweeping = false
    this.limit = 2 * this.needed + SLACK
  }
}
