import assert from 'node:assert/strict'
import test from 'node:test'
import { stay, until } from '../harness/until.js'
import { openCase } from '../harness/world.js'

const ids = (hits) => hits.map(({ id }) => id)

/** Holds back all answers until it is called. */
const closeGate = (site) => {
  let open
  site.gate = new Promise((resolve) => {
    open = resolve
  })
  return () => {
    site.gate = undefined
    open()
  }
}

/** @param world The running system. */
export const troubles = (world) => {
  test('what happens offline is sent when the network is back, with the time at which it happened', async (t) => {
    const visit = await openCase(world(), t, { attributes: { engagement: 'false' } })
    const page = await visit.newPage()
    await page.goto(`${visit.home}/shoes`)
    await visit.untilHits(1)
    await visit.person.setOffline(true)
    const failure = page.waitForEvent('requestfailed')
    await page.evaluate(() => history.pushState({}, '', 'cart'))
    await failure
    await page.evaluate(() => history.pushState({}, '', 'pay'))
    await stay(page, 3000)
    await visit.person.setOffline(false)
    await visit.untilHits(3)
    assert.deepEqual(visit.trail(), ['page_view /shoes', 'page_view /cart', 'page_view /pay'])
    const [, cart, pay] = visit.hits()
    assert.ok(cart.attempt >= 1)
    assert.ok(cart.age_ms >= 3000 && pay.age_ms >= 3000, `${cart.age_ms}, ${pay.age_ms}`)
    await visit.expect({ page_views: 3, events: 3, sessions: 1, visitors: 1 })
  })

  test('with consent what happened offline outlives the page', async (t) => {
    const settings = { consent: 'granted', engagement: false }
    const visit = await openCase(world(), t, { settings, script: 't.full.js' })
    const page = await visit.newPage()
    await page.goto(`${visit.home}/shoes`)
    await visit.untilHits(1)
    await visit.person.setOffline(true)
    const failure = page.waitForEvent('requestfailed')
    await page.evaluate(() => history.pushState({}, '', 'cart'))
    await failure
    await page.close()
    await visit.person.setOffline(false)
    const later = await visit.newPage()
    await later.goto(`${visit.home}/pay`)
    await visit.untilHits(3)
    assert.deepEqual(visit.trail().toSorted(), ['page_view /cart', 'page_view /pay', 'page_view /shoes'])
    assert.equal(new Set(visit.hits().map((hit) => hit.client_id)).size, 1)
    assert.equal(new Set(visit.hits().map((hit) => hit.session_id)).size, 1)
    assert.deepEqual(visit.hits().map((hit) => hit.first_visit ?? false).toSorted(), [false, false, true])
    await visit.expect({ page_views: 3, events: 3, sessions: 1, visitors: 1, new_visitors: 1 })
  })

  test('a server that answers late gets each hit once', async (t) => {
    const visit = await openCase(world(), t, { attributes: { engagement: 'false' } })
    const page = await visit.newPage()
    const open = closeGate(visit.site)
    await page.goto(`${visit.home}/shoes`)
    await visit.untilHits(1)
    await page.evaluate(() => history.pushState({}, '', 'cart'))
    // Later than hits are gathered, and much later than a server should need.
    await stay(page, 3000)
    open()
    await visit.untilHits(2)
    const reopen = closeGate(visit.site)
    await page.evaluate(() => history.pushState({}, '', 'pay'))
    await visit.untilHits(3)
    await page.evaluate(() => history.pushState({}, '', 'thanks'))
    await page.close()
    await visit.untilHits(4)
    reopen()
    const later = await visit.newPage()
    await later.goto(`${visit.home}/shoes`)
    await visit.untilHits(5)
    assert.deepEqual(visit.trail(), [
      'page_view /shoes',
      'page_view /cart',
      'page_view /pay',
      'page_view /thanks',
      'page_view /shoes'
    ])
    assert.equal(new Set(ids(visit.hits())).size, 5)
    await visit.expect({ page_views: 5, events: 5, sessions: 1, visitors: 1 })
  })

  test('after 503 the same hit is tried again and counted once, taken or not', async (t) => {
    const visit = await openCase(world(), t, { attributes: { engagement: 'false' } })
    visit.site.troubles.push({ status: 503 }, { status: 503, isTaken: true })
    const page = await visit.newPage()
    await page.goto(`${visit.home}/shoes`)
    await until('the third try was answered', () => visit.site.requests[2]?.status === 204)
    const [first, second, third] = visit.hits()
    assert.deepEqual(visit.hits().length, 3)
    assert.deepEqual([second.id, third.id], [first.id, first.id])
    assert.deepEqual([first.attempt ?? 0, second.attempt, third.attempt], [0, 1, 2])
    assert.ok(third.age_ms > second.age_ms && second.age_ms > first.age_ms)
    await visit.expect({ page_views: 1, events: 1, sessions: 1, visitors: 1 })
  })

  test('what the server refuses is not sent again', async (t) => {
    const visit = await openCase(world(), t, { attributes: { engagement: 'false' } })
    visit.site.troubles.push({ status: 400 })
    const page = await visit.newPage()
    await page.goto(`${visit.home}/shoes`)
    await until('the first try was answered', () => visit.site.requests[0]?.status === 400)
    await page.evaluate(() => history.pushState({}, '', 'cart'))
    await page.close()
    await visit.untilHits(2)
    assert.deepEqual(visit.trail(), ['page_view /shoes', 'page_view /cart'])
    await visit.expect({ page_views: 1, events: 1, sessions: 1, visitors: 1 })
  })
}
