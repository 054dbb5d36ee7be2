/** Asks for a token where the gateway asks for one. */
import type { Strings } from "../strings.js"

/** The form. The token is kept in memory, and for the tab where that is asked for. */
export const TokenForm = (props: {
  readonly wasRefused: boolean
  readonly strings: Strings
  readonly onToken: (token: string, keep: boolean) => void
}) => {
  const { onToken, strings, wasRefused } = props
  return (
    <form
      class="token"
      onSubmit={(event) => {
        event.preventDefault()
        const given = new FormData(event.currentTarget)
        onToken(String(given.get("token")), given.get("keep") !== null)
      }}
    >
      <h1>{strings.title}</h1>
      <p role="alert">{wasRefused ? strings.tokenWrong : strings.tokenWhy}</p>
      <label>
        {strings.token}
        <input name="token" type="password" required autocomplete="off" />
      </label>
      <label class="check">
        <input name="keep" type="checkbox" /> {strings.tokenKeep}
      </label>
      <button type="submit">{strings.connect}</button>
    </form>
  )
}
