/** What runs in the page of a framework's test. */
export interface Page {
  /** The example on top of what a server has rendered. */
  readonly hydrate: (target: Element, url: string) => void
  /** `counted`: agents a and b, and the commands of agent a, each in a component of its own. */
  readonly count: (target: Element, url: string) => void
}

declare global {
  var page: Page
  /** How often each component has rendered. */
  var renders: Record<string, number>
}

globalThis.renders = {}

/** Notes that a component renders; returns what it shows. */
export const rendered = (name: string, shown: unknown): string => {
  globalThis.renders[name] = (globalThis.renders[name] ?? 0) + 1
  return `${name}: ${String(shown)}`
}
