// The scenario's page, as a browser shows it, for clients that need one.
//
// Network calls of the page go through jsdom's XMLHttpRequest, so cross-origin rules hold as in a
// browser: preflights are sent, and an answer without Access-Control headers is a failure.
import { JSDOM, VirtualConsole } from 'jsdom'
import { scenario } from './report.mjs'

const { window } = new JSDOM(`<!doctype html><title>${scenario.title}</title>`, {
  url: scenario.url,
  referrer: scenario.referrer,
  pretendToBeVisual: true,
  resources: { userAgent: scenario.user_agent },
  virtualConsole: new VirtualConsole(),
})

const define = (target, name, value) =>
  Object.defineProperty(target, name, { value, configurable: true, writable: true })

const SIMPLE_TYPES = /^(text\/plain|multipart\/form-data|application\/x-www-form-urlencoded)\b/i
let latest
define(window, 'XMLHttpRequest', class extends window.XMLHttpRequest {
  setRequestHeader(name, value) {
    super.setRequestHeader(name, value)
    // jsdom asks no leave for other content types, as browsers do; for uploads that are watched it does.
    if (/^content-type$/i.test(name) && !SIMPLE_TYPES.test(value)) this.upload.addEventListener('load', () => {})
  }

  send(body) {
    latest = new Promise((resolve, reject) => {
      this.addEventListener('loadend', () => {
        if (this.status >= 200 && this.status < 400) resolve(this.status)
        else reject(new Error(this.status ? `${this.status}` : 'network or cross-origin error'))
      })
    })
    // Not every client asks for it.
    latest.catch(() => {})
    super.send(body)
  }
})

for (const name of ['document', 'location', 'history', 'navigator', 'screen', 'localStorage', 'sessionStorage',
  'XMLHttpRequest', 'Node', 'HTMLElement', 'HTMLAnchorElement', 'MutationObserver', 'Event', 'CustomEvent']) {
  define(globalThis, name, window[name])
}
for (const name of ['addEventListener', 'removeEventListener', 'dispatchEvent']) {
  define(globalThis, name, window[name].bind(window))
}
define(globalThis, 'self', window)
define(globalThis, 'window', window)

define(window.navigator, 'language', scenario.language)
// jsdom lays nothing out: the page is as high as this.
define(window.document.documentElement, 'scrollHeight', 2000)
class ResizeObserver { observe() {} disconnect() {} }

// A fetch over XMLHttpRequest; Node's own knows nothing of pages and origins.
const { fetch, Headers, Request, Response } = await import('whatwg-fetch')
for (const [name, value] of Object.entries({ fetch, Headers, Request, Response, ResizeObserver })) {
  define(globalThis, name, value)
  define(window, name, value)
}

// Beacons carry cookies, and a page never learns what became of them.
define(window.navigator, 'sendBeacon', (url, body = null) => {
  const request = new window.XMLHttpRequest()
  request.open('POST', new URL(url, window.location.href).href)
  request.withCredentials = true
  request.send(body)
  return true
})

export { window }
// Status of the answer to the page's latest request, for clients that keep it to themselves.
export const latestAnswer = () => latest
export const close = () => window.close()
