// @segment/analytics-node: Segment's client for servers.
import { baseUrl, id, reporter, scenario } from './report.mjs'
import { Analytics } from '@segment/analytics-node'

const step = reporter('@segment/analytics-node')
const { event, purchase, user, visitor } = scenario
const anonymous = { anonymousId: visitor.uuid }
const page = { url: scenario.url, title: scenario.title, referrer: scenario.referrer }
const context = { page, userAgent: scenario.user_agent, locale: scenario.language }

// One hit a request, so that each step has its own answer.
const analytics = new Analytics({ writeKey: id, host: baseUrl, flushAt: 1, maxRetries: 2 })

const send = (kind, hit) => new Promise((resolve, reject) => {
  analytics[kind]({ context, ...hit }, (error, delivered) => {
    if (error) reject(error instanceof Error ? error : new Error(JSON.stringify(error.reason ?? error.code ?? error)))
    else resolve(`accepted ${delivered.event.messageId}`)
  })
})
const signup = { event: event.name, properties: event.parameters }

await step('page_view', () => send('page', { ...anonymous, name: scenario.title, properties: page }))
await step('event', () => send('track', { ...anonymous, ...signup }))
await step('purchase', () => send('track', {
  ...anonymous,
  event: 'Order Completed',
  properties: {
    order_id: purchase.order,
    revenue: purchase.revenue,
    currency: purchase.currency,
    products: [{ product_id: purchase.item.sku, ...purchase.item }],
  },
}))
await step('identify', () => send('identify', { ...anonymous, userId: user, traits: { plan: 'pro' } }))
const identified = { ...anonymous, ...signup, userId: user, messageId: scenario.message }
await step('event', () => send('track', identified))
await step('repeat', () => send('track', identified))
await analytics.closeAndFlush({ timeout: 1000 })
