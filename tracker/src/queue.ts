/**
 * The way of hits to the server: gathered for a moment, posted together, and posted again when that failed.
 *
 * A hit is in one place at a time: in the store, or in the one request that carries it. It goes back to the store only when its
 * request is known to have failed; so a request that the closing page leaves behind is never repeated. Every try has the
 * hit's first `id`, by which the server counts it once.
 */
import { guard, on } from './guard'
import type { Hit } from './hit'
import { isOptedOut } from './opt-out'
import { settings } from './settings'

/** Where hits wait: this page's memory, or with consent the browser's storage, which all pages of the site share. */
export interface Store {
  read(): Hit[]
  write(hits: Hit[]): void
}

/** Beyond this age the server may have forgotten the id and would count a repeat: the hit is dropped. */
const ID_WINDOW_MS = 864e5
/** How long hits are gathered. */
const GATHER_MS = 500
/** The first wait after a failure; it doubles with each further one. */
const BACKOFF_MS = 2e3
const MAX_BACKOFF_MS = 3e5
/** What waits at most; the oldest are dropped. */
const MAX_WAITING = 200
/**
 * The server takes 64 KiB and 100 hits at a time: a UTF-16 unit is at most 3 bytes of UTF-8, and no hit is shorter than 160.
 */
const MAX_BATCH_CHARS = 16e3

let waiting: Hit[] = []
let store: Store | undefined
let isHeld = false
let timer: ReturnType<typeof setTimeout> | 0 = 0
let isSending = false
// The page was left, and nothing has happened on it since.
let isLeft = false
// In a row; while there are some, the timer is the wait before the next try.
let failures = 0

/** What waits. */
export const readWaiting = (): Hit[] => (FULL && store ? store.read() : waiting)

/** Replaces what waits. */
export const writeWaiting = (hits: Hit[]): void => {
  if (FULL && store) {
    try {
      return store.write(hits)
    } catch {
      // It is full or was forbidden meanwhile.
      store = undefined
    }
  }
  waiting = hits
}

/** Moves what waits into another store; undefined: into memory. */
export const moveTo = (next: Store | undefined): void => {
  const hits = readWaiting()
  writeWaiting([])
  store = next
  writeWaiting(readWaiting().concat(hits))
  schedule(GATHER_MS)
}

/** While held, nothing is sent. */
export const hold = (held: boolean): void => {
  isHeld = held
}

/** Takes a hit; it is sent with those of the next moment. */
export const push = (hit: Hit): void => {
  isLeft = false
  writeWaiting(readWaiting().concat(hit).slice(-MAX_WAITING))
  // A timer that runs gathers already, or is the wait after a failure.
  if (!timer) schedule(GATHER_MS)
}

const schedule = (delayMs: number): void => {
  clearTimeout(timer as number)
  timer = setTimeout(
    guard(() => {
      timer = 0
      flush()
    }),
    delayMs
  )
}

/** Sends what waits. Closing: the page may never run again. */
export const flush = (isClosing?: boolean): void => {
  const nowMs = Date.now()
  isLeft ||= !!isClosing
  const hits = readWaiting().filter((hit) => nowMs - hit.at_ms < ID_WINDOW_MS)
  if (!hits[0] || isOptedOut() || (FULL && isHeld)) return
  // A page that closes waits for nothing; but what would hardly arrive is better kept, if it can be.
  if (isClosing ? !navigator.onLine || (FULL && store && failures) : isSending || (failures && timer)) return
  let chars = 0
  // A hit that is longer goes alone.
  const batch = hits.filter((hit, index) => (chars += JSON.stringify(hit).length) < MAX_BATCH_CHARS || !index)
  writeWaiting(hits.slice(batch.length))
  if (post(batch, isClosing)) flush(true)
}

/** Sends these hits; true when the browser has taken them off the closing page, and may take more. */
const post = (hits: Hit[], isClosing?: boolean): unknown => {
  const done = guard((hasFailed?: unknown, retryAfterS: number = 0) => {
    isSending = false
    let delayMs = 0
    if (hasFailed) {
      writeWaiting(hits.map((hit): Hit => ({ ...hit, attempt: (hit.attempt || 0) + 1 })).concat(readWaiting()))
      // The jitter keeps browsers that failed together from coming back together.
      delayMs = Math.max(Math.min(BACKOFF_MS * 2 ** failures++, MAX_BACKOFF_MS), retryAfterS * 1e3) * (1 + Math.random() / 2)
    } else failures = 0
    schedule(delayMs)
  })
  const nowMs = Date.now()
  const body = JSON.stringify({
    measurement_id: settings.measurement_id,
    hits: hits.map(({ at_ms, ...hit }) => ({ ...hit, age_ms: Math.max(nowMs - at_ms, 0) }))
  })
  const endpoint = settings.endpoint as string
  // A text is sent as text/plain, which needs no CORS preflight.
  if (isClosing) return navigator.sendBeacon(endpoint, body) || done(true)
  fetch(endpoint, { method: 'POST', body, keepalive: true }).then(
    ({ status, headers }) =>
      done(/^(5|408|429)/.test(status as unknown as string), +headers.get('retry-after')! || 0),
    // The request of a page that was left breaks off for the page, and arrives all the same.
    () => done(!isLeft)
  )
  isSending = true
  return
}

/** Sends what waits as soon as there is a network again. */
export const watchNetwork = (): void =>
  on('online', () => {
    timer = 0
    flush()
  })
