/**
 * Waiting for conditions; the limit is there to end a test that hangs, not to judge speed.
 */
const POLL_MS = 25
const LIMIT_MS = 60_000

/** Waits until `check` gives something true, and gives that. `what` is for the error. */
export const until = async (what, check) => {
  const endMs = Date.now() + LIMIT_MS
  for (;;) {
    const found = await check()
    if (found) return found
    if (Date.now() > endMs) throw new Error(`waited ${LIMIT_MS / 1000} s in vain until ${what}`)
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}

/** Stays on a page that has the tracker running, until so much of its own time has gone by. */
export const stay = async (page, ms) => {
  await page.waitForFunction(() => globalThis.meridian?.isLoaded)
  const startMs = await page.evaluate(() => performance.now())
  await page.waitForFunction((endMs) => performance.now() > endMs, startMs + ms, { polling: 50 })
}
