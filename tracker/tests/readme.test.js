import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import test from 'node:test'
import { openBrowser } from './browser.js'

const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8')

/** The names in the first column of the tables of settings. */
const documented = readme
  .split('### Settings')[1]
  .split('### What is sent')[0]
  .split('\n')
  .filter((line) => line.startsWith('| `'))
  .flatMap((line) => [...line.split('|')[1].matchAll(/`(\w+)`/g)].map(([, name]) => name))

test('the README lists every setting', () => {
  const { settings, FULL_SETTINGS } = openBrowser().run('settings.ts')
  assert.deepEqual(documented, [...Object.keys(settings), ...FULL_SETTINGS])
})

test('the README lists every feature’s event', async () => {
  const features = ['forms', 'not-found', 'scroll', 'web-vitals', 'revenue']
  for (const name of features) {
    const source = await readFile(new URL(`../src/features/${name}.ts`, import.meta.url), 'utf8')
    const [, event] = /send\w*\('(\w+)'/.exec(source)
    assert.ok(readme.includes(`\`${event}\``), event)
  }
})
