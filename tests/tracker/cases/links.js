import assert from 'node:assert/strict'
import test from 'node:test'
import { openCase } from '../harness/world.js'

/** @param world The running system. */
export const links = (world) => {
  test('a link to another host and a download are counted, a link within the site is not', async (t) => {
    const visit = await openCase(world(), t, { attributes: { engagement: 'false' } })
    const page = await visit.newPage()
    await page.goto(`${visit.home}/shoes`)
    await page.click('#cart')
    await page.waitForURL(`${visit.home}/cart`)
    const download = page.waitForEvent('download')
    await page.click('#price-list')
    await download
    await page.click('#elsewhere')
    await page.waitForURL('http://localhost:*/elsewhere')
    await visit.untilHits(4)
    assert.deepEqual(visit.trail(), [
      'page_view /shoes',
      'page_view /cart',
      'file_download /cart',
      'outbound_click /cart'
    ])
    assert.match(visit.hits('file_download')[0].params.link_url, /\/files\/prices\.pdf$/)
    assert.match(visit.hits('outbound_click')[0].params.link_url, /^http:\/\/localhost:\d+\/elsewhere$/)
    const totals = { page_views: 2, events: 4, sessions: 1, visitors: 1 }
    await visit.expect(totals, { page_view: 2, file_download: 1, outbound_click: 1 })
  })
}
