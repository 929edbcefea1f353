/**
 * How far a page was scrolled: each threshold once per page view, and the deepest percent as `scroll_depth` of the engagement
 * that ends it. Percentiles are taken over hits, so a page view tells its depth once.
 */
import { on } from '../guard'
import { hitFillers, isEnding, send, viewListeners } from '../page'
import { settings } from '../settings'

const PERCENTS = '25,50,75,90'

/** Sends `scroll` with `percent` of the page's height that has been in sight, and adds `scroll_depth`. */
export const watchScroll = (): void => {
  const percents = (/\d/.test(settings.scroll as string) ? (settings.scroll as string) : PERCENTS).split(',').map(Number)
  let left: number[] = []
  // Of the page's height, in percent, and half a percent more: pixels may be missing at the bottom.
  let deepest = 0
  let isTold = false
  const measure = (): void => {
    const seen = ((scrollY + innerHeight) / document.documentElement.scrollHeight) * 100 + 0.5
    // Not so for the 0 / 0 of a frame that is not displayed.
    if (seen > deepest) deepest = seen
  }
  viewListeners.push(() => {
    left = percents
    // Not measured yet: a route begins before its page is drawn.
    deepest = 0
    isTold = false
  })
  on('scroll', () => {
    measure()
    const reached = left.filter((percent) => deepest >= percent)
    left = left.filter((percent) => !reached.includes(percent))
    reached.forEach((percent) => send('scroll', { percent }))
  })
  hitFillers.push((hit) => {
    if (hit.event != 'engagement' || !isEnding || isTold) return
    measure()
    isTold = true
    hit.params = { scroll_depth: Math.min(Math.floor(deepest), 100), ...hit.params }
  })
}
