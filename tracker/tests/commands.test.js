import assert from 'node:assert/strict'
import test from 'node:test'
import { openBrowser } from './browser.js'

const ATTRIBUTES = { 'data-measurement-id': 'M-1' }

const events = async ({ clock, server }) => {
  await clock.advance(500)
  return server.hits().map(({ event, url, params }) => [event, url, params])
}

test('calls before and after the script is loaded are the same', async () => {
  const browser = openBrowser()
  const { window } = browser
  // The snippet of the README.
  window.meridian = function () {
    ;(window.meridian.q = window.meridian.q || []).push(arguments)
  }
  window.meridian('event', 'early', { plan: 'pro' })
  browser.runTag('t.ts')
  window.meridian('event', 'late')
  assert.deepEqual(await events(browser), [
    ['early', 'https://shop.example/', { plan: 'pro' }],
    ['page_view', 'https://shop.example/', {}],
    ['late', 'https://shop.example/', {}]
  ])
})

test('a site can count its pages itself', async () => {
  const browser = openBrowser({ referrer: 'https://search.example/' })
  browser.runTag('t.ts', { ...ATTRIBUTES, 'data-page-views': 'false' })
  browser.window.history.pushState({}, '', '/cart')
  browser.window.meridian('event', 'seen')
  browser.window.meridian('page_view', { kind: 'cart' })
  assert.deepEqual(await events(browser), [
    ['seen', 'https://shop.example/cart', {}],
    ['page_view', 'https://shop.example/cart', { kind: 'cart' }]
  ])
  assert.equal(browser.server.hits()[1].referrer, 'https://search.example/')
})

test('wrong calls do nothing, and never throw', async () => {
  const browser = openBrowser()
  browser.runTag('t.ts', { ...ATTRIBUTES, 'data-page-views': 'false' })
  const { meridian } = browser.window
  for (const call of [[], ['nonsense'], ['event'], ['event', ''], ['event', 'x', null], ['event', 'y', 'text'], ['toString']]) {
    assert.doesNotThrow(() => meridian(...call), String(call))
  }
  const names = (await events(browser)).map(([event]) => event)
  assert.deepEqual(names, ['x', 'y'])
})

test('nothing of the page’s is touched when it has something else of this name', () => {
  const browser = openBrowser()
  browser.window.meridian = { q: 'not ours' }
  assert.doesNotThrow(() => browser.runTag('t.ts'))
})

test('whoever opted out is not counted until taking it back', async () => {
  const storage = {}
  const first = openBrowser({ storage })
  first.runTag('t.ts')
  first.window.meridian('opt_out')
  first.window.meridian('event', 'unseen')
  assert.deepEqual(await events(first), [])

  const second = openBrowser({ storage })
  second.runTag('t.ts')
  assert.deepEqual(await events(second), [])
  second.window.meridian('opt_in')
  second.window.meridian('event', 'seen')
  assert.deepEqual((await events(second)).map(([event]) => event), ['seen'])
  assert.deepEqual(storage, {})
})

test('what was under way when the visitor opted out is not tried again', async () => {
  const browser = openBrowser({ storage: {} })
  browser.runTag('t.ts')
  await browser.clock.advance(500)
  browser.window.meridian('opt_out')
  browser.server.requests[0].fail()
  await browser.clock.advance(60_000)
  browser.leave()
  assert.equal(browser.server.hits().length, 1)
})

test('a page whose storage is forbidden is counted, and opting out holds on it', async () => {
  const storage = new Proxy({}, {
    get: () => {
      throw new Error('SecurityError')
    },
    set: () => {
      throw new Error('SecurityError')
    }
  })
  const browser = openBrowser({ storage })
  browser.runTag('t.ts')
  assert.equal((await events(browser)).length, 1)
  browser.window.meridian('opt_out')
  browser.window.meridian('event', 'unseen')
  assert.equal((await events(browser)).length, 1)
})

test('a browser that lacks what is needed sees no error', () => {
  for (const name of ['fetch', 'crypto', 'TextEncoder', 'navigator', 'localStorage', 'performance', 'setTimeout']) {
    const browser = openBrowser()
    browser.globals[name] = undefined
    assert.doesNotThrow(() => {
      browser.runTag('t.full.ts', ATTRIBUTES, { consent: 'granted', web_vitals: true, client_hints: true })
      browser.window.meridian?.('event', 'x')
      browser.leave()
    }, name)
  }
})
