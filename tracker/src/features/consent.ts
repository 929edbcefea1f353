/**
 * Consent: before it nothing is stored and hits name nobody; after it they carry an id, the session, and how the visitor
 * first came, and hits that wait outlive the page.
 *
 * All of it lies in the site's local storage under two names, and goes when consent is withdrawn.
 */
import { commands } from '../commands'
import { guard } from '../guard'
import { type Hit, randomId } from '../hit'
import { hitFillers } from '../page'
import { hold, moveTo, readWaiting, writeWaiting } from '../queue'
import { settings } from '../settings'

/** What is remembered of a visitor. */
interface Memory {
  client_id: string
  first_visit_at_ms: number
  first_source: string
  session_id: string
  session_number: number
  /** Of the last hit. */
  seen_at_ms: number
  /** No hit has said yet that the visitor is new. */
  is_new?: boolean
}

/** GA4's, and the default of properties. */
const SESSION_TIMEOUT_S = 1800

let memory: Memory | undefined

const key = (): string => 'meridian:' + settings.measurement_id
const queueKey = (): string => key() + ':queue'

const read = (name: string): any => {
  try {
    return JSON.parse(localStorage[name])
  } catch {
    return undefined
  }
}

// Where storage is forbidden or full, the visitor is known to this page only.
const save = guard((now: Memory): void => {
  localStorage[key()] = JSON.stringify(now)
})

const erase = guard((): void => {
  delete localStorage[key()]
  delete localStorage[queueKey()]
})

const firstSource = (): string => {
  const { searchParams, host } = new URL(location.href)
  const referrer = document.referrer && new URL(document.referrer).host
  return searchParams.get('utm_source') || (referrer != host && referrer) || '(direct)'
}

const newMemory = (): Memory => ({
  client_id: randomId(),
  first_visit_at_ms: Date.now(),
  first_source: firstSource(),
  session_id: '',
  session_number: 0,
  seen_at_ms: 0,
  is_new: true
})

/** Says whose hit it is, and in which session. */
const fill = (hit: Hit): void => {
  if (!memory || hit.session_id) return
  // Other pages of the site write it, too.
  const now: Memory = read(key()) || memory
  if (hit.at_ms - now.seen_at_ms > (+settings.session_timeout_s! || SESSION_TIMEOUT_S) * 1e3) {
    now.session_id = randomId()
    now.session_number++
  }
  now.seen_at_ms = hit.at_ms
  hit.client_id ||= now.client_id
  hit.session_id = now.session_id
  hit.consent = 'granted'
  if (now.is_new) hit.first_visit = true
  now.is_new = false
  if (hit.event == 'page_view') {
    const { session_number, first_visit_at_ms, first_source } = now
    Object.assign(hit.params, { session_number, first_visit_at_ms, first_source })
  }
  memory = now
  save(now)
}

const grant = (): void => {
  hold(false)
  memory ||= read(key()) || newMemory()
  const name = queueKey()
  moveTo({
    read: () => read(name) || [],
    write: (hits) => {
      localStorage[name] = JSON.stringify(hits)
    }
  })
  const hits = readWaiting()
  hits.forEach(fill)
  writeWaiting(hits)
}

const deny = (): void => {
  memory = undefined
  moveTo(undefined)
  erase()
  // Whose they are was consented to, and is not any more.
  writeWaiting(
    settings.consent == 'require'
      ? []
      : readWaiting().map(({ client_id, session_id, first_visit, consent, ...hit }) => {
          const { session_number, first_visit_at_ms, first_source, ...params } = hit.params
          return { ...hit, params }
        })
  )
  hold(settings.consent == 'require')
}

/** Follows the setting: `granted` from the start, `require` sends nothing before, anything else counts without ids until then. */
export const followConsent = (): void => {
  hitFillers.push(fill)
  const { opt_out: optOut } = commands
  commands.opt_out = () => {
    deny()
    optOut!()
  }
  commands.consent = (answer) => (answer == 'granted' ? grant() : deny())
  // Consent given on an earlier visit left its mark.
  if (settings.consent == 'granted' || read(key())) grant()
  else hold(settings.consent == 'require')
}
