import assert from 'node:assert/strict'
import test from 'node:test'
import { stay } from '../harness/until.js'
import { openCase } from '../harness/world.js'

/** Long enough to be told. */
const STAY_MS = 1200

/** @param world The running system. */
export const leaving = (world) => {
  test('a page from the back/forward cache is a page view, and its engagement goes on', async (t) => {
    const visit = await openCase(world(), t)
    const page = await visit.newPage()
    await page.goto(`${visit.home}/shoes`)
    await stay(page, STAY_MS)
    await page.click('#cart')
    await visit.untilShown('/cart', false)
    await stay(page, STAY_MS)
    await page.evaluate(() => history.back())
    await visit.untilShown('/shoes', true)
    await visit.untilHits(5)
    await stay(page, STAY_MS)
    await page.close()
    await visit.untilHits(6)
    assert.deepEqual(visit.trail().toSorted(), [
      'engagement /cart',
      'engagement /shoes',
      'engagement /shoes',
      'page_view /cart',
      'page_view /shoes',
      'page_view /shoes'
    ])
    const totals = { page_views: 3, events: 6, sessions: 1, visitors: 1 }
    await visit.expect(totals, { page_view: 3, engagement: 3 })
  })

  test('a tab closed in mid-visit loses neither the page view nor the time', async (t) => {
    const visit = await openCase(world(), t)
    const page = await visit.newPage()
    await page.goto(`${visit.home}/shoes`)
    await stay(page, STAY_MS)
    await page.close()
    await visit.untilHits(1, 'engagement')
    assert.deepEqual(visit.trail(), ['page_view /shoes', 'engagement /shoes'])
    assert.ok(visit.hits('engagement')[0].engagement_ms >= 1000)
    await visit.expect({ page_views: 1, events: 2, sessions: 1, visitors: 1 }, { page_view: 1, engagement: 1 })
  })

  test('a tab closed at once was still visited', async (t) => {
    const visit = await openCase(world(), t, { attributes: { engagement: 'false' } })
    const page = await visit.newPage()
    await page.goto(`${visit.home}/shoes`)
    await page.close()
    await visit.untilHits(1)
    assert.deepEqual(visit.trail(), ['page_view /shoes'])
    await visit.expect({ page_views: 1, events: 1, sessions: 1, visitors: 1 })
  })
}
