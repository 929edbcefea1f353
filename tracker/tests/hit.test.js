import assert from 'node:assert/strict'
import test from 'node:test'
import { openBrowser } from './browser.js'

const { cut, createHit, randomId } = openBrowser().run('hit.ts')
const PAGE = { url: 'https://shop.example/', referrer: '' }
const bytes = (text) => Buffer.byteLength(text)

test('texts are cut to bytes of UTF-8, never within a character', () => {
  for (const [text, maxBytes, expected] of [
    ['', 3, ''],
    ['abc', 3, 'abc'],
    ['abcd', 3, 'abc'],
    ['äöü', 5, 'äö'],
    ['a€b', 3, 'a'],
    ['😀😀', 7, '😀'],
    ['a\ud83d', 10, 'a\ufffd'],
    ['\ude00b', 10, '\ufffdb'],
    [17, 10, '17']
  ]) {
    assert.equal(cut(text, maxBytes), expected, JSON.stringify(text))
  }
})

test('parameters are what the collect port takes', () => {
  const params = {
    text: 'a',
    long: 'ä'.repeat(600),
    whole: 3,
    fraction: 0.5,
    yes: true,
    no: false,
    nothing: null,
    missing: undefined,
    endless: Infinity,
    big: 10n,
    list: [1, 2],
    '': 'no name',
    ['n'.repeat(120)]: 1
  }
  assert.deepEqual(createHit('event', PAGE, params).params, {
    text: 'a',
    long: 'ä'.repeat(500),
    whole: 3,
    fraction: 0.5,
    yes: true,
    no: false,
    endless: 'Infinity',
    big: '10',
    list: '1,2',
    ['n'.repeat(100)]: 1
  })
})

test('a hit has at most 50 parameters, and no more bytes than its fields may have', () => {
  const params = Object.fromEntries(Array.from({ length: 60 }, (_, index) => [`p${index}`, index]))
  const hit = createHit('é'.repeat(80), PAGE, params)
  assert.equal(Object.keys(hit.params).length, 50)
  assert.ok(bytes(hit.event) <= 100)
})

test('the mark of a driven browser is not cut off behind 50 parameters', () => {
  const params = Object.fromEntries(Array.from({ length: 60 }, (_, index) => [`p${index}`, index]))
  const browser = openBrowser()
  browser.globals.navigator.webdriver = true
  const hit = browser.run('hit.ts').createHit('event', PAGE, params)
  assert.equal(Object.keys(hit.params).length, 50)
  assert.equal(hit.params.webdriver, true)
})

test('a language tag is sent without what some systems append', () => {
  for (const [language, expected] of [
    ['de', 'de'],
    ['zh-Hant-TW', 'zh-Hant-TW'],
    ['en-US@posix', 'en-US'],
    ['', '']
  ]) {
    const browser = openBrowser()
    browser.globals.navigator = { language }
    assert.equal(browser.run('hit.ts').createHit('event', PAGE).language, expected)
  }
})

test('ids are short enough and differ', () => {
  const ids = new Set(Array.from({ length: 1000 }, randomId))
  assert.equal(ids.size, 1000)
  for (const id of ids) assert.match(id, /^[\d-]{7,64}$/)
})
