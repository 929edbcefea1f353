import assert from 'node:assert/strict'
import test from 'node:test'
import { openBrowser } from './browser.js'

/** The settings of a tag with these attributes, over what the server put in. */
const read = (attributes, served = {}, src = 'https://edge.example/x/t.js') => {
  const browser = openBrowser()
  const { readSettings, settings } = browser.run('settings.ts')
  const script = browser.document.createElement('script')
  script.setAttribute('src', src)
  for (const [name, value] of Object.entries(attributes)) script.setAttribute(name, value)
  readSettings(served, script)
  return settings
}

test('attributes win over the server’s settings, and these over the defaults', () => {
  const settings = read(
    { 'data-measurement-id': 'M-2', 'data-history': 'false' },
    { measurement_id: 'M-1', outbound: false, engagement: false }
  )
  assert.equal(settings.measurement_id, 'M-2')
  assert.equal(settings.history, false)
  assert.equal(settings.outbound, false)
  assert.equal(settings.engagement, false)
  assert.equal(settings.page_views, true)
  assert.equal(read({ 'data-session-timeout-s': '60' }, { session_timeout_s: false }).session_timeout_s, '60')
})

test('attributes are switches or texts', () => {
  for (const [text, expected] of [['', true], ['true', true], ['false', false], ['yes', 'yes']]) {
    assert.equal(read({ 'data-hash': text }).hash, expected, text)
  }
  const { downloads } = read({})
  for (const [text, expected] of [['', downloads], ['true', downloads], ['false', false], ['iso', 'iso']]) {
    assert.equal(read({ 'data-downloads': text }).downloads, expected, text)
  }
})

test('hits go where the script came from, unless told otherwise', () => {
  assert.equal(read({}).endpoint, 'https://edge.example/v1/collect')
  assert.equal(read({ 'data-endpoint': '/m/v1/collect' }).endpoint, '/m/v1/collect')
  assert.equal(read({}, { endpoint: 'https://m.example/c' }).endpoint, 'https://m.example/c')
})

test('without a tag the server’s settings are enough', () => {
  const { readSettings, settings } = openBrowser().run('settings.ts')
  readSettings({ measurement_id: 'M-1', endpoint: 'https://m.example/v1/collect' }, null)
  assert.equal(settings.measurement_id, 'M-1')
})
