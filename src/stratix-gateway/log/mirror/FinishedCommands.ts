/**
 * The finished commands of a mirror, the one that ended first first.
 */

/** How many superseded ones may be at the front beside half of all, before they are cut off. */
const SLACK = 64

/** Finished commands, superseded ones among them until they reach the front. Bound: at most twice those that are not, and the slack. */
export class FinishedCommands<A extends { readonly superseded: number }> {
  private commands: Array<A> = []
  private front = 0
  /** How many of them are not superseded. */
  live = 0

  add(command: A): void {
    this.commands.push(command)
    this.live++
  }

  oldest(): A | undefined {
    while ((this.commands[this.front]?.superseded ?? 0) > 0) this.front++
    if (this.front > this.commands.length / 2 + SLACK) {
      this.commands = this.commands.slice(this.front)
      this.front = 0
    }
    return this.commands[this.front]
  }
}
