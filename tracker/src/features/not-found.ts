/**
 * Pages that the server answered with 404, where the browser knows the status.
 */
import { send, viewListeners } from '../page'

/** Sends `not_found` after the page view of such a page. */
export const watchNotFound = (): void => {
  const [load] = performance.getEntriesByType('navigation') as unknown as { responseStatus?: number }[]
  let isFirst = true
  viewListeners.push(() => {
    // Later page views of the same document were not loaded.
    if (isFirst && load?.responseStatus == 404) send('not_found')
    isFirst = false
  })
}
