// matomo-tracker: Matomo's client for servers. ID is the integer idsite; SECRET, if given, its token.
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

const failed = async () => { throw new Error(await nextEvent(tracker, 'error')) }
// A single hit's success is not told; the client emits what it takes for a failure.
const track = (hit) => {
  const answer = nextAnswer()
  const failure = failed()
  tracker.track(hit)
  return Promise.race([answer, failure])
}
const trackBulk = (...hits) => Promise.race([
  new Promise((resolve) => tracker.trackBulk(hits, resolve)),
  failed(),
])

await step('page_view', () => track(page))
await step('event', () => track(signup))
await step('purchase', () => track(order))
await step('identify', () => track({ ...page, uid: user }))
await step('event', () => track({ ...signup, uid: user }))
// It reads no answer to a single hit, so its connections would keep the process alive.
await step('bulk', () => trackBulk({ ...page, uid: user }, { ...signup, uid: user }))

process.exit()
