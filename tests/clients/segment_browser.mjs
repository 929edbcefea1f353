// @segment/analytics-next: Segment's client for pages. It reads the source's settings from the server first.
import { close } from './page.mjs'
import { baseUrl, id, reporter, scenario } from './report.mjs'
import { AnalyticsBrowser } from '@segment/analytics-next'

const step = reporter('@segment/analytics-next')
const { event, purchase, user, visitor } = scenario
const { protocol, host } = new URL(baseUrl)

const analytics = AnalyticsBrowser.load({ writeKey: id, cdnURL: baseUrl }, {
  integrations: { 'Segment.io': { apiHost: `${host}/v1`, protocol: protocol.slice(0, -1) } },
  user: { persist: true },
})
await step('settings', async () => (await analytics, 'loaded'))
// Without settings it sends nothing, and its calls never end.
if (process.exitCode) process.exit()
await analytics.setAnonymousId(visitor.uuid)

// A delivery that failed is only told to listeners: it is tried again later.
let failure
analytics.on('error', (error) => { failure = error })
const sent = async (sending) => {
  failure = undefined
  const context = await sending
  const reason = failure?.reason ?? context.failedDelivery()?.reason ?? context.logs().find(({ level }) => level === 'error')?.extras
  if (reason) throw reason
  return `accepted ${context.event.messageId}`
}
const signup = (options) => analytics.track(event.name, event.parameters, options)

await step('page_view', () => sent(analytics.page(scenario.title)))
await step('event', () => sent(signup()))
await step('purchase', () => sent(analytics.track('Order Completed', {
  order_id: purchase.order,
  revenue: purchase.revenue,
  currency: purchase.currency,
  products: [{ product_id: purchase.item.sku, ...purchase.item }],
})))
await step('identify', () => sent(analytics.identify(user, { plan: 'pro' })))
await step('event', () => sent(signup({ messageId: scenario.message })))
await step('repeat', () => sent(signup({ messageId: scenario.message })))
close()
process.exit()
