import assert from 'node:assert/strict'
import test from 'node:test'
import { openCase } from '../harness/world.js'

/** @param world The running system. */
export const served = (world) => {
  for (const [name, options] of [
    ['the small script', {}],
    ['the full script', { script: 't.full.js' }],
    ['the script that has the measurement id inside', { settings: {} }]
  ]) {
    test(`${name} counts as Meridian itself serves it`, async (t) => {
      const attributes = { engagement: 'false' }
      const visit = await openCase(world(), t, { ...options, attributes, isDirect: true })
      const page = await visit.newPage()
      const answered = page.waitForResponse((response) => new URL(response.url()).pathname === '/v1/collect')
      await page.goto(`${visit.home}/shoes`)
      assert.equal((await answered).status(), 204)
      await visit.expect({ page_views: 1, events: 1, sessions: 1, visitors: 1 }, { page_view: 1 })
    })
  }
}
