/**
 * Fails when a page would download more than promised: each script as it is served, gzipped, with settings in it.
 */
import { readFile } from 'node:fs/promises'
import { gzipSync } from 'node:zlib'
import { PLACEHOLDER } from './placeholder.js'

const KIB = 1024
const MINIMAL = { measurement_id: 'M-0123456789' }
const EVERYTHING = {
  ...MINIMAL,
  endpoint: 'https://metrics.shop.example/v1/collect',
  hash: true,
  downloads: 'pdf|zip|gz|rar|7z|csv|xlsx?|docx?|pptx?|mp[34]|exe|dmg|iso|apk|deb|rpm|msi|tar|txt|epub',
  dnt: true,
  gpc: true,
  consent: 'ask',
  session_timeout_s: '3600',
  identify: true,
  revenue: true,
  forms: true,
  not_found: true,
  scroll: '10,20,30,40,50,60,70,80,90,100',
  web_vitals: true,
  clicks: true,
  client_hints: true
}
const LIMITS = [
  { name: 't.js', settings: MINIMAL, maxBytes: 2 * KIB },
  { name: 't.full.js', settings: EVERYTHING, maxBytes: 5 * KIB }
]

for (const { name, settings, maxBytes } of LIMITS) {
  const script = await readFile(new URL(`../dist/${name}`, import.meta.url), 'utf8')
  const served = script.replace(PLACEHOLDER, () => JSON.stringify(settings))
  // gzip's default level: what servers use that compress as they send.
  const bytes = gzipSync(served, { level: 6 }).length
  console.log(`${name}: ${bytes} of ${maxBytes} bytes gzipped, ${served.length} before`)
  if (bytes > maxBytes) {
    console.error(`${name} is ${bytes - maxBytes} bytes too large; make it smaller, or move what is new into the full script.`)
    process.exitCode = 1
  }
}
