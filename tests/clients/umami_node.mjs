// @umami/node: Umami's client for servers.
import { baseUrl, checked, id, reporter, scenario } from './report.mjs'
import { Umami } from '@umami/node'

const step = reporter('@umami/node')
const { event, purchase, user } = scenario
const { hostname, pathname, search } = new URL(scenario.url)
const page = {
  hostname, url: pathname + search, title: scenario.title, referrer: scenario.referrer, language: scenario.language,
}

const umami = new Umami({ hostUrl: baseUrl, websiteId: id, userAgent: scenario.user_agent })
const track = async (hit) => checked(await umami.track(hit))

await step('page_view', () => track(page))
await step('event', () => track({ ...page, name: event.name, data: event.parameters }))
await step('purchase', () => track({
  ...page,
  name: 'purchase',
  data: { order: purchase.order, revenue: purchase.revenue, currency: purchase.currency },
}))
await step('identify', async () => checked(await umami.identify({ user })))
await step('event', () => track({ ...page, id: user, name: event.name, data: event.parameters }))
