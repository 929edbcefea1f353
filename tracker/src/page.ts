/**
 * Page views, and the page that all hits belong to.
 *
 * A hit carries the address of the page view before it, not of the moment, so that time and clicks go to the page they
 * were spent on.
 */
import { HEARTBEAT_MS, settle, takeEngagedMs } from './engagement'
import { guard, on } from './guard'
import { clean, createHit, cut, type Hit, type Page, TEXT_BYTES, URL_BYTES } from './hit'
import { isOptedOut } from './opt-out'
import { flush, push } from './queue'
import { settings } from './settings'

let page: Page
/** Of the last page view; empty before the first. */
let viewedUrl = ''

/** What features of the full script add: to each hit, when a page begins, and before it is hidden or left. */
export const hitFillers: ((hit: Hit) => void)[] = []
export const viewListeners: (() => void)[] = []
export const hideListeners: (() => void)[] = []
/** Whether what is being sent may be the last of its page view. */
export let isEnding = false

/** Sends an event. */
export const send = (event: unknown, params?: object, engagedMs?: number): void => {
  if (!event || isOptedOut()) return
  const hit = createHit(event, page, params, engagedMs)
  if (FULL) {
    hitFillers.forEach((fill) => fill(hit))
    // What they added may be anything, too, and too much.
    hit.params = clean(hit.params)
  }
  push(hit)
}

/** Sends what the page has to say when it may be for the last time. */
const report = (isLeaving?: boolean): void => {
  if (FULL && viewedUrl) {
    hideListeners.forEach((listener) => listener())
    isEnding = true
  }
  sendEngagement(isLeaving)
  if (FULL) isEnding = false
}

const sendEngagement = (isLeaving?: boolean): void => {
  settle(isLeaving)
  const engagedMs = settings.engagement && takeEngagedMs()
  if (engagedMs) send('engagement', undefined, engagedMs)
}

const address = (): string => {
  let { href } = location
  // Reports have no fragments; a route in one becomes part of the path, before the page's query.
  if (settings.hash) href = href.replace(/\/?(\?[^#]*)?#!?(\/[^?]*).*/, '$2$1')
  return cut(href.split('#')[0], URL_BYTES)
}

/** Turns to the page that is shown now, and counts it or leaves that to the site. */
export const enter = (isCounted: unknown, params?: object): void => {
  report()
  // Within the site the page before; on arrival where the visit came from.
  page = { url: address(), referrer: viewedUrl || cut(document.referrer, URL_BYTES), title: cut(document.title, TEXT_BYTES) }
  if (isCounted) {
    viewedUrl = page.url
    send('page_view', params)
    if (FULL) viewListeners.forEach((listener) => listener())
  }
}

const onRoute = guard((): void => {
  if (address() != page.url) enter(settings.page_views)
})

const watchRoutes = (): void => {
  for (const name of ['pushState', 'replaceState'] as const) {
    const original = history[name]
    history[name] = function (...args) {
      original.apply(this, args)
      onRoute()
    }
  }
  on('popstate', onRoute)
}

/** Counts this page, and watches for the next ones and for the end. */
export const watchPages = (): void => {
  enter(settings.page_views)
  if (settings.history) watchRoutes()
  if (settings.hash) on('hashchange', onRoute)
  on<PageTransitionEvent>('focus blur pageshow pagehide visibilitychange', ({ type, persisted }) => {
    const isLeaving = type == 'pagehide'
    settle(isLeaving)
    if (persisted && !isLeaving) {
      // Back from the back/forward cache: the page is seen once more, and nothing loads that would say so.
      enter(settings.page_views)
    } else if (isLeaving || document.hidden) {
      report(isLeaving)
      flush(isLeaving)
    }
  })
  setInterval(guard(sendEngagement), HEARTBEAT_MS)
}
