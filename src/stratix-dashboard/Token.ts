/** Where the token comes from: the address (erased after reading), this tab's storage where that was asked for, or the form. */

const KEY = "stratix-token"

/** The token this page was opened with, if there was one. Takes `#token=` out of the address, so that it is in no history and no screenshot. */
export const initial = (): string | undefined => {
  const given = new URLSearchParams(location.hash.slice(1)).get("token")
  if (given === null) return sessionStorage.getItem(KEY) ?? undefined
  history.replaceState(null, "", location.pathname + location.search)
  return given
}

/** Keeps the token until the tab is closed. */
export const keep = (token: string): void => sessionStorage.setItem(KEY, token)

/** Forgets a token that was kept. */
export const forget = (): void => sessionStorage.removeItem(KEY)
