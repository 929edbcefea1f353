import assert from 'node:assert/strict'
import test from 'node:test'
import { openBrowser } from './browser.js'

/** A page with these performance entries; what it tells of them. */
const measure = async (entries, { load = { responseStart: 80, activationStart: 0 }, act } = {}) => {
  const browser = openBrowser()
  browser.globals.performance.getEntriesByType = () => [load]
  browser.globals.PerformanceObserver = class {
    constructor(onEntries) {
      this.onEntries = onEntries
    }
    observe({ type }) {
      this.onEntries({ getEntries: () => entries[type] ?? [] })
    }
  }
  browser.server.answerAll()
  browser.runTag('t.full.ts', { 'data-measurement-id': 'M-1' }, { web_vitals: true, engagement: false })
  act?.(browser)
  browser.leave({ persisted: true })
  browser.comeBack()
  browser.leave()
  const told = browser.server.hits().filter(({ event }) => event === 'web_vitals')
  assert.equal(told.length, 1)
  return { ...told[0].params, url: told[0].url }
}

const shift = (startTime, value, hadRecentInput = false) => ({ startTime, value, hadRecentInput })
const interaction = (interactionId, duration) => ({ interactionId, duration })

test('the last and largest paint, the first paint and the first byte are told once', async () => {
  const { lcp_ms, fcp_ms, ttfb_ms, cls, inp_ms } = await measure({
    'largest-contentful-paint': [{ startTime: 300 }, { startTime: 900.4 }],
    paint: [{ name: 'first-paint', startTime: 200 }, { name: 'first-contentful-paint', startTime: 250.6 }]
  })
  assert.deepEqual({ lcp_ms, fcp_ms, ttfb_ms, cls, inp_ms }, { lcp_ms: 900, fcp_ms: 251, ttfb_ms: 80, cls: 0, inp_ms: undefined })
})

test('a page that was prepared unseen is timed from when it was shown', async () => {
  const { lcp_ms, fcp_ms, ttfb_ms } = await measure(
    {
      'largest-contentful-paint': [{ startTime: 5300 }],
      paint: [{ name: 'first-contentful-paint', startTime: 4000 }]
    },
    { load: { responseStart: 80, activationStart: 5000 } }
  )
  assert.deepEqual({ lcp_ms, fcp_ms, ttfb_ms }, { lcp_ms: 300, fcp_ms: 0, ttfb_ms: 0 })
})

test('the layout’s shifts add up within a window, and the worst window counts', async () => {
  for (const [shifts, expected] of [
    [[shift(0, 0.1), shift(900, 0.1), shift(3000, 0.15)], 0.2],
    [[shift(0, 0.1), shift(500, 0.5, true)], 0.1],
    [[0, 900, 1800, 2700, 3600, 4500, 5400].map((at) => shift(at, 0.1)), 0.6],
    [[shift(0, 0.01), shift(1000, 0.33333)], 0.3333]
  ]) {
    assert.equal((await measure({ 'layout-shift': shifts })).cls, expected)
  }
})

test('the slowest interaction counts, of more than fifty all but the slowest', async () => {
  const quick = Array.from({ length: 60 }, (_, index) => interaction(index + 10, 50))
  for (const [entries, expected] of [
    [[interaction(1, 120), interaction(2, 80)], 120],
    [[interaction(1, 120), interaction(1, 200), interaction(0, 900)], 200],
    [[interaction(1, 700), interaction(2, 300), ...quick], 300]
  ]) {
    assert.equal((await measure({ event: entries })).inp_ms, expected)
  }
})

test('the first page of a single-page app is told before the next one begins', async () => {
  const { url } = await measure({}, { act: ({ window }) => window.history.pushState({}, '', '/cart') })
  assert.equal(url, 'https://shop.example/')
})
