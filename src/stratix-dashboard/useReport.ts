/** A report of the gateway, asked for again and again while it is on the page. */
import { useEffect, useState } from "preact/hooks"

/** What an error says. */
export const failure = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** The newest report, and why the last try brought none; `every` in milliseconds. */
export const useReport = <A>(
  load: (token: string | undefined) => Promise<A>,
  token: string | undefined,
  every: number
) => {
  const [report, setReport] = useState<A>()
  const [problem, setProblem] = useState("")
  useEffect(() => {
    let isOver = false
    let timer: ReturnType<typeof setTimeout> | undefined
    const look = async () => {
      const next = await load(token).then(
        (loaded) => () => {
          setReport(() => loaded)
          setProblem("")
        },
        (error) => () => setProblem(failure(error))
      )
      if (isOver) return
      next()
      timer = setTimeout(look, every)
    }
    void look()
    return () => {
      isOver = true
      clearTimeout(timer)
    }
  }, [load, token, every])
  return { report, problem, setReport, setProblem }
}
