/**
 * How far a page was scrolled: each threshold once per page view.
 */
import { on } from '../guard'
import { send, viewListeners } from '../page'
import { settings } from '../settings'

const PERCENTS = '25,50,75,90'

/** Sends `scroll` with `percent` of the page's height that has been in sight. */
export const watchScroll = (): void => {
  const percents = (/\d/.test(settings.scroll as string) ? (settings.scroll as string) : PERCENTS).split(',').map(Number)
  let left: number[] = []
  viewListeners.push(() => {
    left = percents
  })
  on('scroll', () => {
    const seen = ((scrollY + innerHeight) / document.documentElement.scrollHeight) * 100
    // Half a pixel may be missing at the bottom.
    const reached = left.filter((percent) => seen + 0.5 >= percent)
    left = left.filter((percent) => !reached.includes(percent))
    reached.forEach((percent) => send('scroll', { percent }))
  })
}
