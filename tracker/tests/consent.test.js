import assert from 'node:assert/strict'
import test from 'node:test'
import { openBrowser } from './browser.js'

const HOUR_MS = 3600 * 1000

/** A page view with this consent setting, in a browser with this storage; `call` is made before the script is loaded. */
const visit = async ({ consent, storage, call, url, referrer, hits = true, settings = {} }) => {
  const browser = openBrowser({ storage, url, referrer })
  if (call) browser.window.meridian = { q: [call] }
  browser.server.answerAll()
  browser.runTag('t.full.ts', { 'data-measurement-id': 'M-1' }, { consent, ...settings })
  await browser.clock.advance(500)
  return hits ? browser.server.hits() : browser
}

const who = ({ client_id, session_id, first_visit, consent, params }) => ({ client_id, session_id, first_visit, consent, params })
const NOBODY = { client_id: undefined, session_id: undefined, first_visit: undefined, consent: undefined, params: {} }

test('without consent nothing is stored and hits name nobody', async () => {
  for (const consent of [false, 'ask']) {
    const storage = {}
    assert.deepEqual((await visit({ consent, storage })).map(who), [NOBODY])
    assert.deepEqual(storage, {})
  }
})

test('with consent hits carry the visitor, the session and the first source', async () => {
  const storage = {}
  const [hit] = await visit({ consent: 'granted', storage, url: 'https://shop.example/?utm_source=mail' })
  assert.match(hit.client_id, /^[\d-]+$/)
  assert.match(hit.session_id, /^[\d-]+$/)
  assert.equal(hit.first_visit, true)
  assert.equal(hit.consent, 'granted')
  assert.equal(hit.params.session_number, 1)
  assert.equal(hit.params.first_source, 'mail')
  assert.equal(hit.params.first_visit_at_ms, Date.UTC(2026, 0, 31, 12))

  const [again] = await visit({ consent: 'granted', storage, referrer: 'https://other.example/' })
  assert.deepEqual(who(again), { ...who(hit), first_visit: undefined })
})

test('only the first hit of a visitor says that it is the first, whatever it is', async () => {
  const storage = {}
  const startMs = Date.UTC(2026, 0, 31, 12)
  const session = { session_number: 1, first_visit_at_ms: startMs, first_source: '(direct)' }
  const browser = await visit({ consent: 'granted', storage, call: ['event', 'early'], hits: false })
  await browser.clock.advance(1000)
  browser.window.history.pushState({}, '', '/cart')
  browser.window.meridian('event', 'late')
  await browser.clock.advance(500)
  const seen = (hits) => hits.map(({ event, first_visit, params }) => [event, first_visit, params])
  assert.deepEqual(seen(browser.server.hits()), [
    ['early', true, {}],
    ['page_view', undefined, session],
    ['engagement', undefined, {}],
    ['page_view', undefined, session],
    ['late', undefined, {}]
  ])

  // As if the last hit had been a day ago.
  const next = openBrowser({ storage, referrer: 'https://other.example/' })
  const memory = JSON.parse(storage['meridian:M-1'])
  storage['meridian:M-1'] = JSON.stringify({ ...memory, seen_at_ms: startMs - 24 * HOUR_MS })
  next.server.answerAll()
  next.runTag('t.full.ts', { 'data-measurement-id': 'M-1' }, { consent: 'granted' })
  await next.clock.advance(500)
  assert.deepEqual(seen(next.server.hits()), [['page_view', undefined, { ...session, session_number: 2 }]])
})

test('the first source is the referrer’s host, if that is another one', async () => {
  for (const [referrer, expected] of [
    ['https://search.example/?q=1', 'search.example'],
    ['https://shop.example/before', '(direct)'],
    ['', '(direct)']
  ]) {
    const [hit] = await visit({ consent: 'granted', storage: {}, referrer })
    assert.equal(hit.params.first_source, expected)
  }
})

test('a session ends after its time-out without a hit', async () => {
  for (const [settings, pauseMs, expected] of [
    [{ engagement: false }, HOUR_MS / 2, [1, 1]],
    [{ engagement: false }, HOUR_MS / 2 + 1, [1, 2]],
    [{ engagement: false, session_timeout_s: '7200' }, HOUR_MS, [1, 1]],
    // Who reads on has not left.
    [{}, HOUR_MS, [1, 1]]
  ]) {
    const browser = await visit({ consent: 'granted', storage: {}, hits: false, settings })
    await browser.clock.advance(pauseMs - 500)
    browser.window.meridian('page_view')
    await browser.clock.advance(500)
    const views = browser.server.hits().filter(({ event }) => event === 'page_view')
    assert.deepEqual(views.map(({ params }) => params.session_number), expected)
    assert.equal(new Set(views.map(({ session_id }) => session_id)).size, expected.at(-1))
    assert.equal(new Set(views.map(({ client_id }) => client_id)).size, 1)
  }
})

test('where consent is required nothing is sent before it, and nothing is lost after it', async () => {
  const browser = await visit({ consent: 'require', storage: {}, hits: false })
  await browser.clock.advance(10_000)
  browser.leave({ persisted: true })
  browser.comeBack()
  assert.deepEqual(browser.server.hits(), [])
  browser.window.meridian('consent', 'granted')
  await browser.clock.advance(500)
  const hits = browser.server.hits()
  assert.deepEqual(hits.map(({ event }) => event), ['page_view', 'engagement', 'page_view'])
  assert.equal(new Set(hits.map(({ client_id }) => client_id)).size, 1)
  assert.deepEqual(hits.map(({ first_visit }) => first_visit), [true, undefined, undefined])
  assert.ok(hits[0].age_ms >= 10_000)
})

test('consent given once holds on the next visit', async () => {
  const storage = {}
  const [first] = await visit({ consent: 'ask', storage, call: ['consent', 'granted'] })
  const [second] = await visit({ consent: 'ask', storage })
  assert.equal(second.client_id, first.client_id)
})

test('consent withdrawn leaves nothing behind', async () => {
  const storage = {}
  await visit({ consent: 'ask', storage, call: ['consent', 'granted'] })
  const hits = await visit({ consent: 'ask', storage, call: ['consent', 'denied'] })
  assert.deepEqual(hits.map(who), [NOBODY])
  assert.deepEqual(storage, {})
})

test('hits that wait when consent is withdrawn lose their names, or are not sent', async () => {
  for (const [consent, expected] of [['ask', [NOBODY]], ['require', []]]) {
    const storage = {}
    const browser = openBrowser({ storage })
    browser.window.meridian = { q: [['consent', 'granted']] }
    browser.runTag('t.full.ts', { 'data-measurement-id': 'M-1' }, { consent })
    browser.window.meridian('consent', 'denied')
    await browser.clock.advance(500)
    assert.deepEqual(browser.server.hits().map(who), expected)
    assert.deepEqual(storage, {})
  }
})

test('opting out forgets the visitor', async () => {
  const storage = {}
  const browser = await visit({ consent: 'granted', storage, hits: false })
  browser.window.meridian('opt_out')
  assert.deepEqual(Object.keys(storage), ['meridian_opt_out'])
})

test('with consent what failed outlives the page, and travels once', async () => {
  const storage = {}
  const settings = { consent: 'granted' }
  const first = openBrowser({ storage })
  first.runTag('t.full.ts', { 'data-measurement-id': 'M-1' }, settings)
  await first.clock.advance(500)
  first.server.requests[0].fail()
  await first.clock.settle()
  first.leave()
  assert.deepEqual(first.server.beacons, [])

  const hits = await visit({ consent: 'granted', storage })
  assert.deepEqual(hits.map(({ id, attempt }) => [id === first.server.hits()[0].id, attempt ?? 0]), [
    [true, 1],
    [false, 0]
  ])
  assert.deepEqual(JSON.parse(storage['meridian:M-1:queue']), [])
})

test('a page that closes while nothing failed leaves nothing for the next one', async () => {
  const storage = {}
  const first = openBrowser({ storage })
  first.runTag('t.full.ts', { 'data-measurement-id': 'M-1' }, { consent: 'granted' })
  await first.clock.advance(500)
  first.window.meridian('event', 'last')
  first.leave()
  first.server.requests[0].fail()
  await first.clock.settle()
  assert.deepEqual(first.server.hits().map(({ event }) => event), ['page_view', 'last'])
  assert.deepEqual(JSON.parse(storage['meridian:M-1:queue']), [])
})

test('storage that is broken, full or forbidden loses no hit', async () => {
  const fail = () => {
    throw new Error('no storage')
  }
  for (const storage of [
    { 'meridian:M-1': 'no JSON', 'meridian:M-1:queue': 'neither' },
    new Proxy({}, { get: fail, set: fail }),
    new Proxy({}, { set: fail })
  ]) {
    const hits = await visit({ consent: 'granted', storage })
    assert.equal(hits.length, 1)
    assert.match(hits[0].client_id, /^[\d-]+$/)
  }
})
