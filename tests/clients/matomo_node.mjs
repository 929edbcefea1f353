// matomo-tracker: Matomo's client for servers. ID is the integer idsite; SECRET, if given, its token.
import { setImmediate as turn } from 'node:timers/promises'
import { baseUrl, id, nextAnswer, nextEvent, reporter, scenario, secret } from './report.mjs'
import MatomoTracker from 'matomo-tracker'

const step = reporter('matomo-tracker')
const { event, purchase, user, visitor } = scenario
const { item } = purchase

const tracker = new MatomoTracker(Number(id), `${baseUrl}/matomo.php`)
const page = {
  url: scenario.url, action_name: scenario.title, urlref: scenario.referrer, lang: scenario.language,
  ua: scenario.user_agent, _id: visitor.hex, apiv: 1,
}
if (secret) page.token_auth = secret
const signup = {
  ...page, e_c: 'account', e_a: event.name, e_n: event.parameters.plan, e_v: event.parameters.seats,
}
const order = {
  ...page, idgoal: 0, ec_id: purchase.order, revenue: purchase.revenue,
  ec_items: JSON.stringify([[item.sku, item.name, '', item.price, item.quantity]]),
}

let failure
tracker.on('error', (error) => { failure = new Error(error) })
// A hit's success is not told; what the client takes for a failure, it emits with the answer or without one.
const settled = async (answer) => {
  const result = await Promise.race([answer, nextEvent(tracker, 'error')])
  await turn()
  if (failure) throw failure
  return result
}
const track = (hit) => {
  failure = undefined
  const answer = nextAnswer()
  tracker.track(hit)
  return settled(answer)
}
const trackBulk = (...hits) => {
  failure = undefined
  return settled(new Promise((resolve) => tracker.trackBulk(hits, resolve)))
}

await step('page_view', () => track(page))
await step('event', () => track(signup))
await step('purchase', () => track(order))
await step('identify', () => track({ ...page, uid: user }))
await step('event', () => track({ ...signup, uid: user }))
await step('bulk', () => trackBulk({ ...page, uid: user }, { ...signup, uid: user }))
// It reads no answer to a single hit, so its connections would keep the process alive.
process.exit()
