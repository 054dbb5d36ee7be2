/** What a gateway without agents shows: how to get the first one. */
import type { Strings } from "../strings.js"

/** The lines to copy. */
export const EmptyState = ({ onDemo, strings }: { readonly onDemo: () => void; readonly strings: Strings }) => {
  const address = new URL("api/stratix/agents/agent-001/status", location.href)
  return (
    <section class="empty">
      <h2>{strings.emptyTitle}</h2>
      <p>{strings.emptyHint}</p>
      <pre>{`curl -X PUT ${address} -H 'content-type: application/json' -d '{"status":"busy"}'`}</pre>
      <p>{strings.demoHint}</p>
      <button type="button" onClick={onDemo}>
        {strings.startDemo}
      </button>
    </section>
  )
}
