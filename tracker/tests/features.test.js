import assert from 'node:assert/strict'
import test from 'node:test'
import { openBrowser } from './browser.js'

const open = (settings, { html = '', prepare } = {}) => {
  const browser = openBrowser()
  browser.document.body.innerHTML = html
  prepare?.(browser)
  browser.server.answerAll()
  browser.runTag('t.full.ts', { 'data-measurement-id': 'M-1' }, settings)
  return browser
}

const events = async ({ clock, server }) => {
  await clock.advance(500)
  return server.hits().filter(({ event }) => event !== 'page_view').map(({ event, params }) => [event, params])
}

test('features that are off do nothing', async () => {
  const html = '<button data-meridian-event="signup">x</button><form><input></form>'
  const browser = open({}, { html })
  browser.fire(browser.document.querySelector('button'), 'click', { button: 0 })
  browser.fire(browser.document.querySelector('form'), 'submit')
  browser.fire(browser.window, 'scroll')
  browser.window.meridian('revenue', 1, 'EUR')
  browser.leave()
  assert.deepEqual(await events(browser), [])
})

test('a click on a marked element is its event, with its attributes', async () => {
  const html = '<div data-meridian-event="card" data-meridian-list-name="new"><b>x</b></div><i>y</i>'
  const browser = open({ clicks: true }, { html })
  browser.fire(browser.document.querySelector('b'), 'click', { button: 0 })
  browser.fire(browser.document.querySelector('i'), 'click', { button: 0 })
  assert.deepEqual(await events(browser), [['card', { list_name: 'new' }]])
})

test('a form is told by its attributes, never by its fields', async () => {
  const html = '<form id="search" action="/find?q=1"><input name="id" value="secret"><input name="action"></form>'
  const browser = open({ forms: true }, { html })
  browser.fire(browser.document.querySelector('form'), 'submit')
  assert.deepEqual(await events(browser), [['form_submit', { form_id: 'search', form_action: '/find?q=1' }]])
})

/** A page of this height in a window, scrolled to where the test says. */
const openScrolled = (settings, heightPx, windowPx = 500) => {
  const browser = open({ scroll: '50,90', ...settings })
  Object.assign(browser.globals, { innerHeight: windowPx, scrollY: 0 })
  Object.defineProperty(browser.document.documentElement, 'scrollHeight', { value: heightPx })
  const scrollTo = (y) => {
    browser.globals.scrollY = y
    browser.fire(browser.window, 'scroll')
  }
  return { browser, scrollTo }
}

/** Address and depth of each engagement hit. */
const depths = ({ server }) =>
  server
    .hits()
    .filter(({ event }) => event === 'engagement')
    .map(({ url, params }) => [new URL(url).pathname, params])

test('each depth is told once per page view', async () => {
  const { browser, scrollTo } = openScrolled({}, 2000)
  for (const y of [400, 500, 900, 0, 900]) scrollTo(y)
  browser.window.history.pushState({}, '', '/cart')
  scrollTo(1500)
  const told = (await events(browser)).map(([event, { percent }]) => [event, percent])
  assert.deepEqual(told, [['scroll', 50], ['scroll', 50], ['scroll', 90]])
})

test('the deepest percent goes along with the engagement that ends a page view', async () => {
  for (const [heightPx, windowPx, ys, expected] of [
    [2000, 500, [], 25],
    [2000, 500, [900, 0], 70],
    [2000, 500, [1499.4], 100],
    [3000, 500, [0, 495], 33],
    // A page without a scroll bar, one that bounces at its end, and a frame that is not displayed.
    [500, 500, [], 100],
    [2000, 500, [1600], 100],
    [0, 0, [0], 0]
  ]) {
    const { browser, scrollTo } = openScrolled({}, heightPx, windowPx)
    await browser.clock.advance(1000)
    ys.forEach(scrollTo)
    browser.leave()
    assert.deepEqual(depths(browser), [['/', { scroll_depth: expected }]], `${heightPx} in ${windowPx}: ${ys}`)
  }
})

test('each page view tells its depth once, and not before it may be over', async () => {
  const { browser, scrollTo } = openScrolled({}, 2000)
  const { clock, window } = browser
  scrollTo(500)
  // Too short for an engagement hit: the next one tells.
  await clock.advance(800)
  browser.hide()
  browser.show()
  await clock.advance(16 * 60_000)
  scrollTo(900)
  window.history.pushState({}, '', '/cart')
  browser.globals.scrollY = 0
  await clock.advance(2000)
  browser.hide()
  browser.show()
  scrollTo(1500)
  await clock.advance(2000)
  browser.leave({ persisted: true })
  browser.comeBack()
  await clock.advance(2000)
  browser.leave()
  await clock.advance(500)
  assert.deepEqual(depths(browser), [
    ['/', {}],
    ['/', { scroll_depth: 70 }],
    ['/cart', { scroll_depth: 25 }],
    ['/cart', {}],
    ['/cart', { scroll_depth: 100 }]
  ])
})

test('without the setting no depth is told, nor before the site has counted a page', async () => {
  for (const settings of [{ scroll: false }, { page_views: false }]) {
    const { browser } = openScrolled(settings, 2000)
    await browser.clock.advance(1000)
    browser.leave()
    assert.deepEqual(depths(browser), [['/', {}]])
  }
})

test('a page that was not found says so once', async () => {
  const prepare = ({ globals }) => {
    globals.performance.getEntriesByType = () => [{ responseStatus: 404 }]
  }
  const browser = open({ not_found: true }, { prepare })
  browser.window.history.pushState({}, '', '/cart')
  assert.deepEqual(await events(browser), [['not_found', {}]])
})

test('money, properties and identity go along as they were given', async () => {
  const browser = open({ revenue: true, identify: true })
  const { meridian } = browser.window
  meridian('identify', 'user-17', { plan: 'pro' })
  meridian('set', { theme: 'dark' })
  meridian('revenue', 49.9, 'EUR', { theme: 'light' })
  meridian('identify')
  meridian('event', 'later')
  assert.deepEqual(await events(browser), [
    ['purchase', { plan: 'pro', theme: 'light', value: 49.9, currency: 'EUR' }],
    ['later', { plan: 'pro', theme: 'dark' }]
  ])
  const [, purchase, later] = browser.server.hits()
  assert.deepEqual([purchase.client_id, later.client_id], ['user-17', undefined])
})

test('goods go along beside the parameters, as the collect port takes them', async () => {
  const browser = open({ revenue: true })
  const { meridian } = browser.window
  const cap = { item_id: 'SKU-1', item_name: 'Cap', price: 24.95, quantity: 2 }
  meridian('event', 'add_to_cart', { list: 'new', items: [{ ...cap, coupon: 'SUMMER', none: null }] })
  meridian('revenue', 49.9, 'EUR', { items: [cap] })
  const odd = {
    item_name: 'é'.repeat(99), item_brand: 7, price: '24.95', quantity: -1,
    ...Object.fromEntries(Array.from({ length: 12 }, (_, index) => [`p${index}`, [index]]))
  }
  meridian('event', 'view_item', { items: [odd, { price: 1 }, null, 7] })
  meridian('event', 'begin_checkout', { items: Array.from({ length: 300 }, () => cap) })
  meridian('event', 'wish', { items: 3 })
  meridian('event', 'later')
  assert.deepEqual(await events(browser), [
    ['add_to_cart', { list: 'new' }],
    ['purchase', { value: 49.9, currency: 'EUR' }],
    ['view_item', {}],
    ['begin_checkout', {}],
    ['wish', { items: 3 }],
    ['later', {}]
  ])
  const [, added, bought, viewed, checkout, wish, later] = browser.server.hits().map(({ items }) => items)
  assert.deepEqual(added, [{ ...cap, coupon: 'SUMMER' }])
  assert.deepEqual(bought, [cap])
  const params = Object.fromEntries(Array.from({ length: 10 }, (_, index) => [`p${index}`, `${index}`]))
  assert.deepEqual(viewed, [{ item_name: 'é'.repeat(50), item_brand: '7', price: 24.95, ...params }])
  // 12,000 characters of 62 or so each.
  assert.equal(checkout.length, Math.floor(11_999 / JSON.stringify(cap).length))
  assert.deepEqual([wish, later], [undefined, undefined])
})

test('properties that the collect port would refuse become texts, are cut or are left out', async () => {
  const browser = open({ identify: true, scroll: true })
  const { meridian } = browser.window
  meridian('set', { list: [1, 2], nothing: null, long: 'x'.repeat(2000), seats: 3 })
  meridian('event', 'wish')
  meridian('set', Object.fromEntries(Array.from({ length: 60 }, (_, index) => [`p${index}`, index])))
  await browser.clock.advance(1000)
  browser.leave()
  const [, wish, engagement] = browser.server.hits()
  assert.deepEqual(wish.params, { list: '1,2', long: 'x'.repeat(1000), seats: 3 })
  assert.equal(engagement.event, 'engagement')
  assert.equal(Object.keys(engagement.params).length, 50)
  assert.equal(typeof engagement.params.scroll_depth, 'number')
})

test('the browser’s signals are followed where the site says so', async () => {
  for (const [settings, navigator, count] of [
    [{}, { doNotTrack: '1', globalPrivacyControl: true }, 1],
    [{ dnt: true }, { doNotTrack: '1' }, 0],
    [{ dnt: true }, { doNotTrack: '0' }, 1],
    [{ gpc: true }, { globalPrivacyControl: true }, 0],
    [{ gpc: true }, {}, 1]
  ]) {
    const browser = open(settings, { prepare: ({ globals }) => Object.assign(globals.navigator, navigator) })
    assert.doesNotThrow(() => browser.window.meridian('identify', 'x'))
    await browser.clock.advance(500)
    assert.equal(browser.server.hits().length, count, JSON.stringify([settings, navigator]))
  }
})

test('client hints go along with the page view that waits for them, and with every hit after it', async () => {
  const brands = [{ brand: 'Chromium', version: '142' }]
  const answers = { brands, platform: 'Linux', platformVersion: '6.1', mobile: false }
  const asked = []
  const prepare = ({ globals }) => {
    globals.navigator.userAgentData = {
      getHighEntropyValues: async (names) => {
        asked.push(...names)
        return answers
      }
    }
  }
  const browser = open({ client_hints: true }, { prepare })
  await browser.clock.settle()
  browser.window.history.pushState({}, '', '/cart')
  await browser.clock.advance(500)
  for (const { client_hints, params } of browser.server.hits()) {
    assert.deepEqual(client_hints, { brands, platform: 'Linux', platform_version: '6.1', mobile: false })
    assert.deepEqual(params, {})
  }
  assert.equal(browser.server.hits().length, 2)
  assert.deepEqual(asked, ['platformVersion'])
})
