/** What the gateway finds wrong with itself, for operators. */
import * as Gateway from "../Gateway.js"
import type { Strings } from "../strings.js"
import { useReport } from "../useReport.js"

/** Between two looks, in milliseconds: settings and files change seldom. */
const EVERY = 30_000

const marks = { ok: "✓", warning: "!", problem: "✗" } as const

/** The findings: what is wrong is open, what is fine is one line. */
export const Findings = (props: { readonly token: string | undefined; readonly strings: Strings }) => {
  const { strings, token } = props
  const { problem, report: findings } = useReport(Gateway.diagnostics, token, EVERY)
  const fine = findings?.filter(({ level }) => level === "ok") ?? []
  return (
    <section aria-label={strings.findings}>
      {problem !== "" && <p class="failure">{problem}</p>}
      {/* The gateway speaks English. */}
      <ul class="rows findings" lang="en">
        {findings
          ?.filter(({ level }) => level !== "ok")
          .map(({ about, instead, level, what }) => (
            <li key={what} data-level={level}>
              <span>
                <b aria-hidden="true">{marks[level]}</b> <span class="unseen">{level}</span> <strong>{about}</strong>{" "}
                {what}
                {instead !== undefined && (
                  <>
                    <br />
                    <span class="more">{instead}</span>
                  </>
                )}
              </span>
            </li>
          ))}
      </ul>
      {findings !== undefined && (
        <details class="fine">
          <summary>{strings.fine(fine.length)}</summary>
          <ul class="rows findings" lang="en">
            {fine.map(({ about, what }) => (
              <li key={about + what} data-level="ok">
                <span>
                  <b aria-hidden="true">{marks.ok}</b> <strong>{about}</strong> {what}
                </span>
              </li>
            ))}
          </ul>
        </details>
      )}
    </section>
  )
}
