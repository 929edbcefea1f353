import assert from 'node:assert/strict'
import test from 'node:test'
import { openBrowser } from './browser.js'

/** What a click on this link tells. */
const click = async (html, { attributes = {}, event = {}, type = 'click', selector = 'a' } = {}) => {
  const browser = openBrowser()
  browser.document.body.innerHTML = html
  browser.runTag('t.ts', { 'data-measurement-id': 'M-1', 'data-page-views': 'false', ...attributes })
  browser.fire(browser.document.querySelector(selector), type, { button: 0, ...event })
  await browser.clock.advance(500)
  return browser.server.hits().map((hit) => [hit.event, hit.params.link_url])
}

const OUT = '<a href="https://other.example/x">x</a>'
const FILE = '<a href="/prices.PDF?v=2">x</a>'

test('clicks on links tell what they lead to', async () => {
  for (const [html, expected] of [
    [OUT, [['outbound_click', 'https://other.example/x']]],
    [FILE, [['file_download', 'https://shop.example/prices.PDF?v=2']]],
    ['<a href="https://other.example/a.zip">x</a>', [['file_download', 'https://other.example/a.zip']]],
    ['<a href="/make" download="report">x</a>', [['file_download', 'https://shop.example/make']]],
    ['<a href="/cart">x</a>', []],
    ['<a href="/pdf">x</a>', []],
    ['<a href="mailto:a@shop.example">x</a>', []],
    ['<a href="javascript:0">x</a>', []],
    ['<a>x</a>', []]
  ]) {
    assert.deepEqual(await click(html), expected, html)
  }
})

test('a click within a link is a click on it, and one elsewhere is none', async () => {
  assert.equal((await click('<a href="https://other.example/"><b>x</b></a>', { selector: 'b' })).length, 1)
  assert.equal((await click(`${OUT}<b>x</b>`, { selector: 'b' })).length, 0)
})

test('the middle button follows a link, the right one does not', async () => {
  assert.equal((await click(OUT, { type: 'auxclick', event: { button: 1 } })).length, 1)
  assert.equal((await click(OUT, { type: 'auxclick', event: { button: 2 } })).length, 0)
})

test('links are left alone when switched off, and other files count when named', async () => {
  assert.deepEqual(await click(OUT, { attributes: { 'data-outbound': 'false' } }), [])
  assert.deepEqual(await click(FILE, { attributes: { 'data-downloads': 'false' } }), [])
  const [[event]] = await click('<a href="/a.iso">x</a>', { attributes: { 'data-downloads': 'iso|img' } })
  assert.equal(event, 'file_download')
})
