/**
 * A light browser: happy-dom's window, a clock and a server, and the tracker's sources run in it as a script of the page.
 *
 * Each test gets its own, so nothing of one page is left in the next.
 */
import { buildSync } from 'esbuild'
import { Window } from 'happy-dom'
import { createClock } from './clock.js'
import { createServer } from './server.js'

const root = new URL('..', import.meta.url).pathname
/** What the sources take from the window and not from the language. */
const WINDOW_NAMES = [
  'addEventListener', 'document', 'history', 'innerHeight', 'localStorage', 'location', 'screen', 'scrollY', 'URL'
]
const bundles = new Map()

const bundle = (entry, isFull) => {
  const key = `${entry} ${isFull}`
  if (!bundles.has(key)) {
    const { outputFiles } = buildSync({
      absWorkingDir: root,
      entryPoints: [`src/${entry}`],
      bundle: true,
      format: 'iife',
      globalName: 'exported',
      define: { FULL: String(isFull) },
      write: false
    })
    bundles.set(key, outputFiles[0].text)
  }
  return bundles.get(key)
}

/** A browser that shows this page. */
export const openBrowser = ({ url = 'https://shop.example/', referrer = '', storage } = {}) => {
  const window = new Window({ url })
  const { document } = window
  const clock = createClock()
  const server = createServer()
  const state = { isHidden: false, hasFocus: true, isOnline: true, script: null }
  const given = {
    ...clock.globals,
    ...server.globals,
    window,
    navigator: {
      language: 'en-GB',
      sendBeacon: server.sendBeacon,
      get onLine() {
        return state.isOnline
      }
    },
    MERIDIAN_SETTINGS: {}
  }
  if (storage) given.localStorage = storage
  Object.defineProperties(document, {
    hidden: { get: () => state.isHidden },
    referrer: { get: () => referrer },
    currentScript: { get: () => state.script },
    hasFocus: { value: () => state.hasFocus }
  })
  const globals = new Proxy(given, {
    has: (target, name) => name in target || WINDOW_NAMES.includes(name),
    get: (target, name) => {
      if (name in target) return target[name]
      if (!WINDOW_NAMES.includes(name)) return undefined
      const value = window[name]
      return name === 'addEventListener' ? value.bind(window) : value
    }
  })

  const fire = (target, type, properties = {}) => {
    const event = new window.Event(type, { bubbles: true, composed: true, cancelable: true })
    for (const [name, value] of Object.entries(properties)) Object.defineProperty(event, name, { value })
    target.dispatchEvent(event)
  }

  return {
    window,
    document,
    clock,
    server,
    globals: given,
    fire,
    /** Runs a source file; gives what it exports. */
    run: (entry, isFull = false) =>
      // `with` puts the globals of this browser in front of node's.
      new Function('globals', `with (globals) { ${bundle(entry, isFull)}; return exported }`)(globals),
    /** Runs one of the two scripts by a tag with these attributes. */
    runTag: (entry, attributes = { 'data-measurement-id': 'M-1' }, settings = {}) => {
      state.script = document.createElement('script')
      state.script.setAttribute('src', 'https://edge.example/t.js')
      for (const [name, value] of Object.entries(attributes)) state.script.setAttribute(name, value)
      given.MERIDIAN_SETTINGS = settings
      new Function('globals', `with (globals) { ${bundle(entry, entry === 't.full.ts')} }`)(globals)
      state.script = null
    },
    hide: () => {
      state.isHidden = true
      fire(document, 'visibilitychange')
    },
    show: () => {
      state.isHidden = false
      fire(document, 'visibilitychange')
    },
    blur: () => {
      state.hasFocus = false
      fire(window, 'blur')
    },
    focus: () => {
      state.hasFocus = true
      fire(window, 'focus')
    },
    /** As Chromium does: first the page hides, then it is hidden. */
    leave: ({ persisted = false } = {}) => {
      fire(window, 'pagehide', { persisted })
      state.isHidden = true
      fire(document, 'visibilitychange')
    },
    comeBack: () => {
      state.isHidden = false
      fire(document, 'visibilitychange')
      fire(window, 'pageshow', { persisted: true })
    },
    goOffline: () => {
      state.isOnline = false
    },
    goOnline: () => {
      state.isOnline = true
      fire(window, 'online')
    }
  }
}
