// @plausible-analytics/tracker: Plausible's tracker for pages.
import { close, latestAnswer, window } from './page.mjs'
import { baseUrl, id, reporter, scenario } from './report.mjs'
import { init, track } from '@plausible-analytics/tracker'

const step = reporter('@plausible-analytics/tracker')
const { event, purchase } = scenario

init({ domain: id, endpoint: `${baseUrl}/api/event`, autoCapturePageviews: false, logging: false })

const send = (name, options) => new Promise((resolve, reject) => {
  track(name, {
    ...options,
    callback: (result) => (result?.status < 400 ? resolve(result.status) : reject(new Error(describe(result)))),
  })
})
const describe = (result) => `${result?.status ?? result?.error ?? 'ignored'}`

await step('page_view', () => send('pageview'))
await step('event', () => send(event.name, { props: event.parameters }))
await step('purchase', () => send('purchase', {
  props: { order: purchase.order },
  revenue: { amount: purchase.revenue, currency: purchase.currency },
}))
// The tracker tells how long and how far a page was read when the visitor turns away from it.
await step('engagement', () => {
  window.dispatchEvent(new window.Event('blur'))
  return latestAnswer()
})
close()
