/**
 * Hits as the collect port takes them, and the cuts that keep every field within its limits: one field that is refused
 * would cost all hits of its request.
 */

/** Values of parameters. */
export type Param = string | number | boolean

/** Parameters of an event. */
export type Params = Record<string, Param>

/** Goods that an event is about: the collect port's fields of an item, then parameters. */
export type Item = Params

/** What hits of one page have in common. */
export interface Page {
  url: string
  referrer: string
  title?: string
}

/** A hit on its way. All fields but `at_ms` are those of the collect port. */
export interface Hit extends Page {
  id: string
  event: string
  language?: string
  screen?: string
  client_id?: string
  session_id?: string
  first_visit?: boolean
  /** Of whom ids are sent. */
  consent?: 'granted'
  engagement_ms?: number
  client_hints?: Record<string, unknown>
  params: Params
  items?: Item[]
  /** How often it was sent before. */
  attempt?: number
  /** When it happened, by this browser's clock; sent as an age. */
  at_ms: number
}

/** URL and referrer. */
export const URL_BYTES = 2048
/** A title, and the value of a parameter. */
export const TEXT_BYTES = 1000
const NAME_BYTES = 100
const MAX_PARAMS = 50

/** A text of at most so many bytes of UTF-8, without halves of characters: JSON with such a half is refused. */
export const cut = (text: unknown, maxBytes: number): string => {
  const bytes = new Uint8Array(maxBytes)
  return new TextDecoder().decode(bytes.subarray(0, new TextEncoder().encodeInto('' + text, bytes).written))
}

/** 128 random bits. */
export const randomId = (): string => crypto.getRandomValues(new Uint32Array(4)).join('-')

/** Parameters that the collect port takes: what is neither a finite number nor a boolean becomes a text, nothing is left out. */
export const clean = (params: object): Params =>
  Object.fromEntries(
    Object.entries(params)
      .filter(([name, value]) => name && value != null)
      .slice(0, MAX_PARAMS)
      .map(([name, value]) => [
        cut(name, NAME_BYTES),
        Number.isFinite(value) || value === !!value ? value : cut(value, TEXT_BYTES)
      ])
  )

/** A hit that happens now. */
export const createHit = (event: unknown, page: Page, params?: object, engagement_ms?: number): Hit => ({
  ...page,
  id: randomId(),
  event: cut(event, NAME_BYTES),
  // Some systems append what is no language tag.
  language: navigator.language.replace(/[^\w-].*/, ''),
  screen: screen.width + 'x' + screen.height,
  engagement_ms: engagement_ms!,
  // Whether a program drives the browser (w3.org/TR/webdriver); first, so that it is among those that count.
  params: clean({ webdriver: navigator.webdriver || null, ...params }),
  at_ms: Date.now()
})
