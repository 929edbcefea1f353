/**
 * How fast the page was to its visitor: LCP, INP, CLS, FCP and TTFB (web.dev/articles/vitals), told once, when the page
 * is first hidden or left.
 */
import { guard } from '../guard'
import { hideListeners, send } from '../page'

/** The fields of performance entries that are read. */
interface Entry extends PerformanceEntry {
  value: number
  hadRecentInput: boolean
  interactionId: number
  responseStart: number
  activationStart: number
}

/** Shifts belong together while less than 1 s lies between, for at most 5 s. */
const SHIFT_GAP_MS = 1e3
const SHIFT_WINDOW_MS = 5e3
/** Interactions that are quicker are not told by the browser unless asked for; 16 is the least. */
const INTERACTION_MS = 40
/** INP leaves out the slowest of each 50 interactions; more than so many are not worth keeping. */
const INTERACTIONS_PER_OUTLIER = 50
const MAX_SLOWEST = 10

let lcp: number | undefined
let fcp: number | undefined
let cls = 0
let shift = { startMs: 0, endMs: -SHIFT_WINDOW_MS, value: 0 }
/** The longest interactions, slowest first: id and duration. */
let slowest: [id: number, durationMs: number][] = []
const interactionIds = new Set<number>()

const onShift = ({ hadRecentInput, startTime, value }: Entry): void => {
  if (hadRecentInput) return
  const isSame = startTime - shift.endMs < SHIFT_GAP_MS && startTime - shift.startMs < SHIFT_WINDOW_MS
  shift = isSame
    ? { startMs: shift.startMs, endMs: startTime, value: shift.value + value }
    : { startMs: startTime, endMs: startTime, value }
  cls = Math.max(cls, shift.value)
}

const onInteraction = ({ interactionId, duration }: Entry): void => {
  if (!interactionId) return
  interactionIds.add(interactionId)
  const known = slowest.find(([id]) => id == interactionId)
  if (known) known[1] = Math.max(known[1], duration)
  else slowest.push([interactionId, duration])
  slowest = slowest.sort((one, other) => other[1] - one[1]).slice(0, MAX_SLOWEST)
}

const observe = (type: string, onEntry: (entry: Entry) => void): void => {
  const observer = new PerformanceObserver((list) => (list.getEntries() as Entry[]).forEach(guard(onEntry)))
  observer.observe({ type, buffered: true, durationThreshold: INTERACTION_MS } as PerformanceObserverInit)
}

/** Sends `web_vitals`. */
export const watchWebVitals = (): void => {
  // A page that loads out of sight paints late, and nobody waits for it.
  if (document.hidden) return
  const load = performance.getEntriesByType('navigation')[0] as Entry
  const sinceShown = (timeMs: number): number => Math.max(Math.round(timeMs - (load.activationStart || 0)), 0)
  observe('largest-contentful-paint', ({ startTime }) => {
    lcp = sinceShown(startTime)
  })
  observe('paint', ({ name, startTime }) => {
    if (name == 'first-contentful-paint') fcp = sinceShown(startTime)
  })
  observe('layout-shift', onShift)
  observe('event', onInteraction)
  observe('first-input', onInteraction)
  let isTold = false
  hideListeners.push(() => {
    if (isTold) return
    isTold = true
    const rank = Math.min(Math.floor(interactionIds.size / INTERACTIONS_PER_OUTLIER), slowest.length - 1)
    send('web_vitals', {
      lcp_ms: lcp,
      inp_ms: slowest[rank]?.[1],
      cls: Math.round(cls * 1e4) / 1e4,
      fcp_ms: fcp,
      ttfb_ms: sinceShown(load.responseStart)
    })
  })
}
