import assert from 'node:assert/strict'
import test from 'node:test'
import { launchDriven } from '../harness/chromium.js'
import { stay } from '../harness/until.js'
import { openCase } from '../harness/world.js'

/** @param world The running system. */
export const automation = (world) => {
  test('every hit of a browser that a program drives says so, with either script', async (t) => {
    const browser = await launchDriven()
    t.after(() => browser.close())
    for (const script of ['t.js', 't.full.js']) {
      const visit = await openCase(world(), t, { script, context: await browser.newContext() })
      const page = await visit.newPage()
      await page.goto(`${visit.home}/shoes`)
      await stay(page, 1200)
      await page.evaluate(() => meridian('event', 'signup', { plan: 'pro' }))
      await page.close()
      await visit.untilHits(3)
      assert.deepEqual(
        visit.hits().map(({ event, params }) => [event, params]),
        [
          ['page_view', { webdriver: true }],
          ['signup', { webdriver: true, plan: 'pro' }],
          ['engagement', { webdriver: true }]
        ],
        script
      )
      await visit.expect()
    }
  })

  test('the hits of a person do not', async (t) => {
    const visit = await openCase(world(), t, { attributes: { engagement: 'false' } })
    const page = await visit.newPage()
    await page.goto(`${visit.home}/shoes`)
    await page.evaluate(() => meridian('event', 'signup', { plan: 'pro' }))
    await visit.untilHits(2)
    assert.deepEqual(visit.hits().map(({ params }) => params), [{}, { plan: 'pro' }])
    await visit.expect({ page_views: 1, events: 2, sessions: 1, visitors: 1 }, { page_view: 1, signup: 1 })
  })
}
