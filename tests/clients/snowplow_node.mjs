// @snowplow/node-tracker: Snowplow's tracker for servers. ID is the application's id.
import { baseUrl, id, reporter, scenario } from './report.mjs'
import {
  buildEcommerceTransaction, buildEcommerceTransactionItem, buildPageView, buildSelfDescribingEvent, buildStructEvent,
  newTracker,
} from '@snowplow/node-tracker'

const step = reporter('@snowplow/node-tracker')
const { event, purchase, user, visitor } = scenario
const { item } = purchase
const { protocol, hostname, port } = new URL(baseUrl)

let settle
const tracker = newTracker({ namespace: 'shop', appId: id }, {
  endpoint: hostname, port: Number(port) || undefined, protocol: protocol.slice(0, -1), bufferSize: 1,
  onRequestSuccess: (events, response) => settle?.resolve(`${response.status}`),
  onRequestFailure: (failure) => settle?.reject(new Error(`${failure.status} ${failure.message}, retried: ${failure.willRetry}`)),
})
tracker.setDomainUserId(visitor.uuid)
tracker.setUseragent(scenario.user_agent)
tracker.setLang(scenario.language)

// The next hit gets this message id in the place of a new one.
let message
tracker.addPlugin({ plugin: { beforeTrack: (hit) => { if (message) hit.add('eid', message) } } })

const send = (...hits) => new Promise((resolve, reject) => {
  settle = { resolve, reject }
  for (const hit of hits) tracker.track(hit)
})
const signup = () => buildSelfDescribingEvent({
  event: { schema: 'iglu:com.example/signup/jsonschema/1-0-0', data: event.parameters },
})

await step('page_view', () => send(buildPageView({
  pageUrl: scenario.url, pageTitle: scenario.title, referrer: scenario.referrer,
})))
await step('event', () => send(signup()))
await step('purchase', () => send(
  buildEcommerceTransaction({ orderId: purchase.order, total: purchase.revenue, currency: purchase.currency }),
  buildEcommerceTransactionItem({
    orderId: purchase.order, sku: item.sku, name: item.name, price: item.price, quantity: item.quantity,
    currency: purchase.currency,
  }),
))
await step('identify', () => {
  tracker.setUserId(user)
  return send(buildStructEvent({
    category: 'account', action: event.name, label: event.parameters.plan, value: event.parameters.seats,
  }))
})
message = scenario.message
await step('event', () => send(signup()))
await step('repeat', () => send(signup()))
process.exit()
