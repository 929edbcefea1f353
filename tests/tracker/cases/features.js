import assert from 'node:assert/strict'
import test from 'node:test'
import { openCase } from '../harness/world.js'

const EVERYTHING = {
  engagement: false,
  consent: 'granted',
  identify: true,
  revenue: true,
  forms: true,
  not_found: true,
  scroll: '25,90',
  web_vitals: true,
  clicks: true,
  client_hints: true
}

/** @param world The running system. */
export const features = (world) => {
  test('with everything switched on each thing that was done is one event', async (t) => {
    const visit = await openCase(world(), t, { settings: EVERYTHING, script: 't.full.js' })
    const page = await visit.newPage()
    await page.goto(`${visit.home}/missing`)
    await page.click('#signup')
    await page.click('#find')
    await page.evaluate(() => {
      meridian('set', { theme: 'dark' })
      meridian('revenue', 49.9, 'EUR', { order: 'A-17' })
      meridian('event', 'wish', { count: 2, bad: Number.NaN, none: null, gift: true })
      scrollTo(0, document.documentElement.scrollHeight)
    })
    await visit.untilHits(8)
    await page.close()
    await visit.untilHits(9)
    const named = (event) => {
      const [hit, ...others] = visit.hits(event)
      assert.deepEqual(others, [], event)
      return hit.params
    }
    assert.equal(visit.hits('page_view')[0].params.session_number, 1)
    assert.equal(visit.hits('page_view')[0].params.first_source, '(direct)')
    assert.deepEqual(named('not_found'), {})
    assert.deepEqual(named('signup'), { plan_name: 'pro' })
    assert.deepEqual(named('form_submit'), { form_id: 'search', form_name: 'find', form_action: 'found' })
    assert.deepEqual(named('purchase'), { theme: 'dark', order: 'A-17', value: 49.9, currency: 'EUR' })
    assert.deepEqual(named('wish'), { theme: 'dark', count: 2, bad: 'NaN', gift: true })
    assert.deepEqual(visit.hits('scroll').map(({ params }) => params.percent), [25, 90])
    const vitals = named('web_vitals')
    for (const name of ['lcp_ms', 'fcp_ms', 'ttfb_ms', 'inp_ms', 'cls']) {
      assert.ok(vitals[name] >= 0, `${name} is ${vitals[name]}`)
    }
    await visit.expect(
      { page_views: 1, events: 9, sessions: 1, visitors: 1, new_visitors: 1 },
      { page_view: 1, not_found: 1, signup: 1, form_submit: 1, purchase: 1, wish: 1, scroll: 2, web_vitals: 1 }
    )
  })

  test('with consent two visits are one visitor, who is new once', async (t) => {
    const settings = { engagement: false, consent: 'ask' }
    const visit = await openCase(world(), t, { settings, script: 't.full.js' })
    const page = await visit.newPage()
    const startMs = Date.now()
    // Before the script is there, as a consent banner that knows the answer does it.
    await page.addInitScript(() => {
      globalThis.meridian = Object.assign(() => {}, { q: [['consent', 'granted']] })
    })
    await page.goto(`${visit.home}/shoes`)
    await visit.untilHits(1)
    await page.evaluate((key) => {
      // As if the last hit had been an hour ago.
      const memory = JSON.parse(localStorage[key])
      localStorage[key] = JSON.stringify({ ...memory, seen_at_ms: memory.seen_at_ms - 3_600_000 })
    }, `meridian:${visit.site.settings.measurement_id}`)
    await page.reload()
    await visit.untilHits(2)
    const [first, second] = visit.hits()
    assert.deepEqual([first.first_visit, second.first_visit], [true, undefined])
    const { first_visit_at_ms: firstAtMs, ...others } = first.params
    assert.ok(firstAtMs >= startMs && firstAtMs <= Date.now(), String(firstAtMs))
    assert.deepEqual(others, { session_number: 1, first_source: '(direct)' })
    assert.deepEqual(second.params, { ...first.params, session_number: 2 })
    assert.deepEqual([second.client_id, second.session_id === first.session_id], [first.client_id, false])
    await visit.expect({ page_views: 2, events: 2, sessions: 2, visitors: 1, new_visitors: 1 })
  })

  test('whoever opted out is not counted, on the next page either', async (t) => {
    const visit = await openCase(world(), t, { attributes: { engagement: 'false' } })
    const page = await visit.newPage()
    await page.goto(`${visit.home}/shoes`)
    await visit.untilHits(1)
    await page.evaluate(() => meridian('opt_out'))
    await page.goto(`${visit.home}/cart`)
    await page.evaluate(() => meridian('opt_in'))
    await page.evaluate(() => meridian('event', 'back'))
    await visit.untilHits(2)
    assert.deepEqual(visit.trail(), ['page_view /shoes', 'back /cart'])
    await visit.expect({ page_views: 1, events: 2, sessions: 1, visitors: 1 })
  })
}
