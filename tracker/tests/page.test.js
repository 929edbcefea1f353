import assert from 'node:assert/strict'
import test from 'node:test'
import { openBrowser } from './browser.js'

/** Event and address of each hit that was sent, and the referrer of page views. */
const seen = ({ server }) =>
  server.hits().map(({ event, url, referrer }) => (event === 'page_view' ? [event, url, referrer] : [event, url]))

test('a page that loads is one page view', async () => {
  const browser = openBrowser({ url: 'https://shop.example/a?b=1#c', referrer: 'https://search.example/' })
  browser.document.title = 'Shoes'
  browser.runTag('t.ts')
  await browser.clock.advance(500)
  const [request] = browser.server.requests
  assert.equal(request.url, 'https://edge.example/v1/collect')
  assert.deepEqual({ ...request.init, body: JSON.parse(request.init.body).measurement_id }, {
    method: 'POST',
    keepalive: true,
    body: 'M-1'
  })
  const [{ id, screen, ...hit }, ...others] = request.hits
  assert.deepEqual(others, [])
  assert.match(id, /^[\d-]{7,64}$/)
  assert.match(screen, /^\d+x\d+$/)
  assert.deepEqual(hit, {
    event: 'page_view',
    url: 'https://shop.example/a?b=1',
    referrer: 'https://search.example/',
    title: 'Shoes',
    language: 'en-GB',
    params: {},
    age_ms: 500
  })
})

test('routes of the history are page views, a new fragment or the same address is none', async () => {
  const browser = openBrowser({ referrer: 'https://search.example/' })
  browser.runTag('t.ts')
  browser.window.history.pushState({}, '', '/cart')
  browser.window.history.replaceState({ y: 1 }, '', '/cart')
  browser.window.history.pushState({}, '', '/cart#top')
  browser.window.history.replaceState({}, '', '/cart?step=2')
  await browser.clock.advance(500)
  assert.deepEqual(seen(browser), [
    ['page_view', 'https://shop.example/', 'https://search.example/'],
    ['page_view', 'https://shop.example/cart', 'https://shop.example/'],
    ['page_view', 'https://shop.example/cart?step=2', 'https://shop.example/cart']
  ])
})

test('what history calls return and throw is the page’s own affair', () => {
  const browser = openBrowser()
  browser.window.history.pushState = function () {
    throw new RangeError('from the page')
  }
  browser.runTag('t.ts')
  assert.throws(() => browser.window.history.pushState({}, '', '/'), RangeError)
})

test('routes are left alone when history is switched off', async () => {
  const browser = openBrowser()
  browser.runTag('t.ts', { 'data-measurement-id': 'M-1', 'data-history': 'false' })
  browser.window.history.pushState({}, '', '/cart')
  await browser.clock.advance(500)
  assert.deepEqual(seen(browser), [['page_view', 'https://shop.example/', '']])
})

test('a route in the fragment becomes the path, before the query', async () => {
  for (const [url, expected] of [
    ['https://shop.example/#/cart', 'https://shop.example/cart'],
    ['https://shop.example/#!/cart', 'https://shop.example/cart'],
    ['https://shop.example/app/#/cart/2?step=3', 'https://shop.example/app/cart/2'],
    ['https://shop.example/app?utm_source=mail#/cart', 'https://shop.example/app/cart?utm_source=mail'],
    ['https://shop.example/app#top', 'https://shop.example/app'],
    ['https://shop.example/app', 'https://shop.example/app']
  ]) {
    const browser = openBrowser({ url })
    browser.runTag('t.ts', { 'data-measurement-id': 'M-1', 'data-hash': '' })
    await browser.clock.advance(500)
    assert.deepEqual(seen(browser), [['page_view', expected, '']])
  }
})

test('a page from the back/forward cache is seen once more', async () => {
  const browser = openBrowser()
  browser.server.answerAll()
  browser.runTag('t.ts')
  await browser.clock.advance(500)
  browser.leave({ persisted: true })
  browser.comeBack()
  await browser.clock.advance(500)
  assert.deepEqual(seen(browser), [
    ['page_view', 'https://shop.example/', ''],
    ['page_view', 'https://shop.example/', 'https://shop.example/']
  ])
})

test('engagement counts while the page is visible and has the focus', async () => {
  const browser = openBrowser()
  browser.server.answerAll()
  browser.runTag('t.ts')
  await browser.clock.advance(3000)
  browser.blur()
  await browser.clock.advance(10_000)
  browser.focus()
  await browser.clock.advance(4000)
  browser.hide()
  await browser.clock.advance(60_000)
  browser.show()
  await browser.clock.advance(5000)
  browser.leave()
  const engagement = browser.server.hits().filter(({ event }) => event === 'engagement')
  assert.deepEqual(engagement.map(({ engagement_ms }) => engagement_ms), [7000, 5000])
})

test('engagement goes on after the back/forward cache', async () => {
  const browser = openBrowser()
  browser.server.answerAll()
  browser.runTag('t.ts')
  await browser.clock.advance(500)
  await browser.clock.advance(1500)
  browser.leave({ persisted: true })
  await browser.clock.advance(30_000)
  browser.comeBack()
  await browser.clock.advance(2500)
  browser.leave()
  const engagement = browser.server.hits().filter(({ event }) => event === 'engagement')
  assert.deepEqual(engagement.map(({ engagement_ms }) => engagement_ms), [2000, 2500])
})

test('engagement belongs to the page on which it was spent', async () => {
  const browser = openBrowser()
  browser.runTag('t.ts')
  await browser.clock.advance(4000)
  browser.window.history.pushState({}, '', '/cart')
  await browser.clock.advance(2000)
  browser.leave()
  const engagement = browser.server.hits().filter(({ event }) => event === 'engagement')
  assert.deepEqual(engagement.map(({ url, engagement_ms }) => [url, engagement_ms]).sort(), [
    ['https://shop.example/', 4000],
    ['https://shop.example/cart', 2000]
  ])
})

test('less than a second is kept until it adds up', async () => {
  const browser = openBrowser()
  browser.server.answerAll()
  browser.runTag('t.ts')
  await browser.clock.advance(500)
  await browser.clock.advance(100)
  browser.hide()
  browser.show()
  await browser.clock.advance(900)
  browser.hide()
  const engagement = browser.server.hits().filter(({ event }) => event === 'engagement')
  assert.deepEqual(engagement.map(({ engagement_ms }) => engagement_ms), [1500])
})

test('a long read is told every quarter of an hour, and sleep is not reading', async () => {
  const browser = openBrowser()
  browser.server.answerAll()
  browser.runTag('t.ts')
  await browser.clock.advance(500)
  await browser.clock.advance(40 * 60_000)
  const engagement = browser.server.hits().filter(({ event }) => event === 'engagement')
  assert.deepEqual(engagement.map(({ engagement_ms }) => engagement_ms), [900_000, 900_000])
})

test('the same tag twice counts once', async () => {
  const browser = openBrowser()
  browser.runTag('t.ts')
  browser.runTag('t.ts')
  await browser.clock.advance(500)
  assert.equal(browser.server.hits().length, 1)
})

test('a page that is prepared unseen is counted when it is shown', async () => {
  const browser = openBrowser()
  browser.document.prerendering = true
  browser.runTag('t.ts')
  await browser.clock.advance(500)
  assert.equal(browser.server.hits().length, 0)
  browser.fire(browser.document, 'prerenderingchange')
  await browser.clock.advance(500)
  assert.equal(browser.server.hits().length, 1)
})

test('every hit of a browser that a program drives says so, and no other does', async () => {
  for (const [webdriver, expected] of [[true, { webdriver: true }], [false, {}], [undefined, {}]]) {
    for (const entry of ['t.ts', 't.full.ts']) {
      const browser = openBrowser()
      browser.globals.navigator.webdriver = webdriver
      browser.runTag(entry)
      browser.window.meridian('event', 'signup', { plan: 'pro' })
      await browser.clock.advance(1000)
      browser.leave()
      assert.deepEqual(browser.server.hits().map(({ event, params }) => [event, params]), [
        ['page_view', expected],
        ['signup', { ...expected, plan: 'pro' }],
        ['engagement', expected]
      ])
    }
  }
})

test('nothing is sent without a measurement id', async () => {
  const browser = openBrowser()
  browser.runTag('t.ts', {})
  await browser.clock.advance(500)
  assert.equal(browser.server.requests.length, 0)
})
