import assert from 'node:assert/strict'
import test from 'node:test'
import { openCase } from '../harness/world.js'

/** @param world The running system. */
export const routes = (world) => {
  test('a single-page app is counted route by route, the way back too', async (t) => {
    const visit = await openCase(world(), t, { attributes: { engagement: 'false' } })
    const page = await visit.newPage()
    await page.goto(`${visit.home}/shoes`)
    await page.evaluate(() => history.pushState({}, '', 'cart'))
    await page.evaluate(() => history.pushState({}, '', 'cart#total'))
    await page.evaluate(() => history.pushState({}, '', 'pay'))
    await page.evaluate(() => history.go(-2))
    await visit.untilHits(4)
    assert.deepEqual(visit.trail(), ['page_view /shoes', 'page_view /cart', 'page_view /pay', 'page_view /cart'])
    await visit.expect({ page_views: 4, events: 4, sessions: 1, visitors: 1 }, { page_view: 4 })
  })

  test('routes in the fragment are pages when the site says so', async (t) => {
    const visit = await openCase(world(), t, { attributes: { engagement: 'false', hash: 'true' } })
    const page = await visit.newPage()
    await page.goto(`${visit.home}/app#/shoes`)
    await page.evaluate(() => {
      location.hash = '#/cart'
    })
    await visit.untilHits(2)
    assert.deepEqual(visit.trail(), ['page_view /app/shoes', 'page_view /app/cart'])
    await visit.expect({ page_views: 2, events: 2, sessions: 1, visitors: 1 }, { page_view: 2 })
  })

  test('hits are posted as plain text from another origin, without a preflight', async (t) => {
    const visit = await openCase(world(), t, { attributes: { engagement: 'false' } })
    const page = await visit.newPage()
    await page.goto(`${visit.home}/shoes`)
    await visit.untilHits(1)
    assert.deepEqual(visit.site.requests.map(({ type }) => type), ['text/plain;charset=UTF-8'])
    await visit.expect({ page_views: 1, visitors: 1 })
  })
}
