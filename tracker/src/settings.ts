/**
 * The settings: built-in defaults, over them what the server put into the script, over them the data- attributes of the
 * script's tag. README.md has the table; the names here are those of the JSON object and, with hyphens, of the attributes.
 */

/** Values come from attributes too, so a switch may also be any text. */
export type Value = string | boolean

export interface Settings {
  /** Which property the hits are for; without one nothing is sent. */
  measurement_id: Value
  /** Where hits are posted; empty: `/v1/collect` at the origin that the script came from. */
  endpoint: Value
  /** Count the page that loads; off: the page says `meridian('page_view')` itself. */
  page_views: Value
  /** Count a new address by `pushState`, `replaceState` or the back button as a page view. */
  history: Value
  /** The fragment is the route (`/#/cart`): part of the page's path, and a page view when it changes. */
  hash: Value
  /** Send the time for which the page was visible and focused. */
  engagement: Value
  /** Count clicks on links to other hosts. */
  outbound: Value
  /** Count clicks on links to files with these extensions, a regular expression. */
  downloads: Value
}

/** Settings of what only the full script has. */
export interface FullSettings {
  /** Do nothing when the browser says Do Not Track. */
  dnt: Value
  /** Do nothing when the browser says Global Privacy Control. */
  gpc: Value
  /** Ids and storage, and when: `ask`, `require` or `granted`. */
  consent: Value
  /** With consent: a session ends after so many seconds without a hit; false: 1,800. */
  session_timeout_s: Value
  /** The commands that say who the visitor is, and what goes along with every event. */
  identify: Value
  /** The command that sends a purchase. */
  revenue: Value
  /** Count submitted forms. */
  forms: Value
  /** Count pages that the server answered with 404. */
  not_found: Value
  /** Count how far pages are scrolled, at these percentages. */
  scroll: Value
  /** Send how fast the page was. */
  web_vitals: Value
  /** Count clicks on elements with `data-meridian-event`. */
  clicks: Value
  /** Send what browsers tell of the machine only when asked. */
  client_hints: Value
}

/** The settings that hold on this page. */
export const settings: Settings & Partial<FullSettings> = {
  measurement_id: '',
  endpoint: '',
  page_views: true,
  history: true,
  hash: false,
  engagement: true,
  outbound: true,
  downloads: 'pdf|zip|gz|rar|7z|csv|xlsx?|docx?|pptx?|mp[34]|exe|dmg'
}

/** What only the full script knows; all of it is off by default. */
export const FULL_SETTINGS: (keyof FullSettings)[] = [
  'dnt',
  'gpc',
  'consent',
  'session_timeout_s',
  'identify',
  'revenue',
  'forms',
  'not_found',
  'scroll',
  'web_vitals',
  'clicks',
  'client_hints'
]

/** Reads them; the script is null where the browser does not say which one runs, as in a module. */
export const readSettings = (served: object, script: HTMLScriptElement | null): void => {
  const values = Object.assign(settings, served) as Record<string, Value>
  for (const name in values) {
    const text = script?.getAttribute('data-' + name.replace(/_/g, '-'))
    // An empty attribute and `true` switch on what has no other value.
    if (text != null) values[name] = text != 'false' && (/^(true)?$/.test(text) ? values[name] || true : text)
  }
  settings.endpoint ||= new URL('/v1/collect', script!.src).href
}
