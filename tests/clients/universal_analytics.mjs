// universal-analytics: Universal Analytics' Measurement Protocol, version 1, sent by a server.
import { baseUrl, id, reporter, scenario } from './report.mjs'
import ua from 'universal-analytics'

const step = reporter('universal-analytics')
const { event, purchase, user, visitor } = scenario
const { item } = purchase
const page = { dl: scenario.url, dt: scenario.title, dr: scenario.referrer, ul: scenario.language, ua: scenario.user_agent }

const visitorFor = (options) => ua(id, visitor.decimal, {
  hostname: baseUrl, headers: { 'User-Agent': scenario.user_agent }, ...options,
})
const anonymous = visitorFor({})
const identified = visitorFor({ uid: user })

// Hits in a queue of more than one go to /batch, a single one to /collect.
const sent = (queue) => new Promise((resolve, reject) => {
  queue.send((error, count) => (error !== null ? reject(new Error(error)) : resolve(`${count} requests`)))
})
const signup = { ...page, ec: 'account', ea: event.name, el: event.parameters.plan, ev: event.parameters.seats }

await step('page_view', () => sent(anonymous.pageview(page)))
await step('event', () => sent(anonymous.event(signup)))
await step('purchase', () => sent(anonymous
  .transaction({ ...page, ti: purchase.order, tr: purchase.revenue, cu: purchase.currency })
  .item({ ip: item.price, iq: item.quantity, ic: item.sku, in: item.name, cu: purchase.currency })))
await step('identify', () => sent(identified.pageview(page)))
await step('event', () => sent(identified.event(signup)))
