/**
 * What pages call: `meridian('event', 'signup', { plan: 'pro' })`. For TypeScript: `/// <reference types="meridian-tracker" />`,
 * or a copy of this file in the site's sources.
 */

/** Names of at most 100 bytes; texts of at most 1,000 bytes; at most 50 of them. What is longer is cut. */
export type MeridianParams = Record<string, string | number | boolean | null | undefined>

/** What the event is about. One of `item_id` and `item_name` is there; up to 10 names of your own may be. */
export interface MeridianItem {
  item_id?: string
  item_name?: string
  item_brand?: string
  item_category?: string
  item_variant?: string
  /** Of one, in the currency of the event: its parameter `currency`. */
  price?: number
  /** 1 if it is left out. */
  quantity?: number
  [name: string]: string | number | boolean | null | undefined
}

/** Parameters of an event that may be about goods: `items` counts with the setting `revenue`. */
export interface MeridianEventParams {
  items?: MeridianItem[]
  [name: string]: string | number | boolean | null | undefined | MeridianItem[]
}

export interface Meridian {
  /** Something happened on this page. */
  (command: 'event', name: string, params?: MeridianEventParams): void
  /** The page that is shown now was viewed; needed only with `page_views: false`. */
  (command: 'page_view', params?: MeridianParams): void
  /** The visitor does not want to be counted in this browser, from now on; `opt_in` takes it back. */
  (command: 'opt_out' | 'opt_in'): void
  /** The visitor's answer; with the setting `consent`. */
  (command: 'consent', answer: 'granted' | 'denied'): void
  /** Who the visitor is, until the page is left; without an id: nobody any more. With the setting `identify`. */
  (command: 'identify', id?: string | number, properties?: MeridianParams): void
  /** Parameters that go along with every further event of this page. With the setting `identify`. */
  (command: 'set', properties: MeridianParams): void
  /** A purchase: sends the event `purchase`. With the setting `revenue`. */
  (command: 'revenue', value: number, currency: string, params?: MeridianEventParams): void
  /** Calls before the script is loaded. */
  q?: ArrayLike<unknown>[]
  /** Set by the script. */
  readonly isLoaded?: boolean
}

declare global {
  interface Window {
    meridian: Meridian
  }
  var meridian: Meridian
}
