/**
 * The window that a page is in, as the page sees it and as a person handles it.
 */
import { until } from './until.js'

/** Waits until the page is as `visible, focused` says. */
export const becomes = (page, expected) =>
  until(`the page is ${expected}`, async () => {
    const is = () => `${document.visibilityState}, ${document.hasFocus() ? 'focused' : 'not focused'}`
    return (await page.evaluate(is)) === expected
  })

/** What sets the page's window to `minimized` or `normal`. */
export const windowOf = async (page) => {
  const devtools = await page.context().newCDPSession(page)
  const { windowId } = await devtools.send('Browser.getWindowForTarget')
  return (windowState) => devtools.send('Browser.setWindowBounds', { windowId, bounds: { windowState } })
}
