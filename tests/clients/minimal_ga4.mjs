// @minimal-analytics/ga4: GA4's web protocol, sent by a page with beacons.
import { close, latestAnswer, window } from './page.mjs'
import { baseUrl, id, reporter, scenario } from './report.mjs'

const step = reporter('@minimal-analytics/ga4')
const { event, purchase, visitor } = scenario

window.minimalAnalytics = { trackingId: id, analyticsEndpoint: `${baseUrl}/g/collect` }
window.localStorage.setItem('clientId', visitor.decimal)
const { default: { track } } = await import('@minimal-analytics/ga4')

const send = (type, parameters) => {
  track({ type, event: parameters })
  return latestAnswer()
}

await step('page_view', () => send('page_view', {}))
await step('event', () => send(event.name, {
  'ep.plan': event.parameters.plan, 'epn.seats': event.parameters.seats,
}))
await step('purchase', () => send('purchase', {
  'ep.transaction_id': purchase.order, 'epn.value': purchase.revenue, cu: purchase.currency,
}))
await step('engagement', () => {
  window.dispatchEvent(new window.Event('beforeunload'))
  return latestAnswer()
})
close()
