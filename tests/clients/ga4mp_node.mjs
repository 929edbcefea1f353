// @analytics-debugger/ga4mp: GA4's web protocol, sent by a server.
import { createRequire } from 'node:module'
import { baseUrl, id, nextAnswer, reporter, scenario } from './report.mjs'

// The file that the package names as its main one is not in it, and the ES module does not run in Node.
const ga4mp = createRequire(import.meta.url)('@analytics-debugger/ga4mp/dist/ga4mp.umd.min.js')

const step = reporter('@analytics-debugger/ga4mp')
const { event, purchase, user, visitor } = scenario
const { item } = purchase

const tracker = ga4mp([id], {
  endpoint: `${baseUrl}/g/collect`,
  client_id: visitor.decimal,
  session_id: 1700000000,
  user_agent: scenario.user_agent,
})
tracker.setEventsParameter('page_location', scenario.url)
tracker.setEventsParameter('page_title', scenario.title)
tracker.setEventsParameter('page_referrer', scenario.referrer)
tracker.setEventsParameter('language', scenario.language)

const send = (name, parameters) => {
  const answer = nextAnswer()
  tracker.trackEvent(name, parameters)
  return answer
}

await step('page_view', () => send('page_view'))
await step('event', () => send(event.name, event.parameters))
await step('purchase', () => send('purchase', {
  transaction_id: purchase.order,
  value: purchase.revenue,
  currency: purchase.currency,
  items: [{ item_id: item.sku, item_name: item.name, price: item.price, quantity: item.quantity }],
}))
await step('identify', () => {
  tracker.setUserId(user)
  tracker.setUserProperty('plan', 'pro')
  return send('login', { method: 'password' })
})
await step('event', () => send(event.name, event.parameters))
