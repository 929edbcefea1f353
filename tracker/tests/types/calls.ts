/**
 * Calls that pages make, checked against the published types; nothing here runs.
 */
import type {} from '../../index'

meridian('event', 'signup', { plan: 'pro', seats: 3, trial: true, coupon: undefined })
window.meridian('page_view')
meridian('page_view', { kind: 'cart' })
meridian('opt_out')
meridian('opt_in')
meridian('consent', 'granted')
meridian('identify', 'user-17', { plan: 'pro' })
meridian('identify')
meridian('set', { theme: 'dark' })
meridian('revenue', 49.9, 'EUR', { order: 'A-17' })
meridian('event', 'view_item', { currency: 'EUR', items: [{ item_id: 'SKU-1', price: 24.75, coupon: 'SUMMER' }] })
meridian('revenue', 49.9, 'EUR', { items: [{ item_name: 'Cap', quantity: 2 }] })
window.meridian = window.meridian || function (...call: unknown[]) {
  ;(window.meridian.q = window.meridian.q || []).push(call)
}

// @ts-expect-error There is no such command.
meridian('nonsense')
// @ts-expect-error An event has a name.
meridian('event')
// @ts-expect-error Parameters are texts, numbers and booleans.
meridian('event', 'x', { list: [1] })
// @ts-expect-error A price is a number.
meridian('event', 'view_item', { items: [{ item_id: 'SKU-1', price: '24.75' }] })
// @ts-expect-error Consent is given or refused.
meridian('consent', 'perhaps')
