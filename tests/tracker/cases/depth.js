import assert from 'node:assert/strict'
import test from 'node:test'
import { launchPlain } from '../harness/chromium.js'
import { stay } from '../harness/until.js'
import { becomes, windowOf } from '../harness/window.js'
import { openCase } from '../harness/world.js'

/** Long enough to be told. */
const STAY_MS = 1200

/** Draws a page of so many heights of the window, from its top. */
const draw = (page, heights) =>
  page.evaluate((count) => {
    document.body.innerHTML = `<div style="height: ${count * innerHeight}px"></div>`
    document.body.style.margin = 0
    scrollTo(0, 0)
  }, heights)

/** Scrolls so many heights of the window down from the top, and waits until the page was told. */
const scrollTo = (page, heights) =>
  page.evaluate(
    (count) =>
      new Promise((resolve) => {
        addEventListener('scroll', resolve, { once: true })
        scrollTo(0, count * innerHeight)
      }),
    heights
  )

/** Path and depth of each engagement hit. */
const depths = (visit) =>
  visit.hits('engagement').map(({ url, params }) => [url.replace(visit.home, ''), params.scroll_depth])

/** @param world The running system. */
export const depth = (world) => {
  test('each route tells how deep it was scrolled', async (t) => {
    const visit = await openCase(world(), t, { settings: { scroll: '50' }, script: 't.full.js' })
    const page = await visit.newPage()
    await page.setViewportSize({ width: 800, height: 500 })
    await page.goto(`${visit.home}/shoes`)
    await draw(page, 4)
    await scrollTo(page, 1.8)
    await scrollTo(page, 0.2)
    await stay(page, STAY_MS)
    await page.evaluate(() => history.pushState({}, '', 'cart'))
    await draw(page, 5)
    await stay(page, STAY_MS)
    await page.evaluate(() => history.pushState({}, '', 'pay'))
    await draw(page, 0.5)
    await stay(page, STAY_MS)
    await page.close()
    await visit.untilHits(3, 'engagement')
    // 2.8 of 4 heights, 1 of 5, and all of a page without a scroll bar; the one in the middle is 70.
    assert.deepEqual(depths(visit), [['/shoes', 70], ['/cart', 20], ['/pay', 100]])
    const totals = { page_views: 3, events: 7, sessions: 1, visitors: 1, scroll_depth_p50: 70 }
    await visit.expect(totals, { page_view: 3, engagement: 3, scroll: 1 })
  })

  test('whoever comes back to a hidden page and scrolls on is not told a second time', async (t) => {
    const plain = await launchPlain()
    t.after(plain.stop)
    const settings = { scroll: '50,90' }
    const visit = await openCase(world(), t, { settings, script: 't.full.js', context: plain.context })
    const page = await visit.newPage()
    const setWindow = await windowOf(page)
    await page.goto(`${visit.home}/shoes`)
    await becomes(page, 'visible, focused')
    await draw(page, 4)
    await scrollTo(page, 1)
    await stay(page, STAY_MS)
    await setWindow('minimized')
    await visit.untilHits(1, 'engagement')
    await setWindow('normal')
    await becomes(page, 'visible, focused')
    await scrollTo(page, 3)
    await stay(page, STAY_MS)
    await page.close()
    await visit.untilHits(2, 'engagement')
    assert.deepEqual(depths(visit), [['/shoes', 50], ['/shoes', undefined]])
    assert.deepEqual(visit.hits('scroll').map(({ params }) => params.percent), [50, 90])
    const totals = { page_views: 1, events: 5, sessions: 1, visitors: 1 }
    await visit.expect(totals, { page_view: 1, engagement: 2, scroll: 2 })
  })
}
