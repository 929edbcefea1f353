// plausible-tracker: Plausible's earlier tracker for pages, without revenue.
import { close, latestAnswer } from './page.mjs'
import { baseUrl, id, reporter, scenario } from './report.mjs'
import plausible from 'plausible-tracker'

const step = reporter('plausible-tracker')
const { event } = scenario
const { trackPageview, trackEvent } = plausible.default({ domain: id, apiHost: baseUrl })

// The package as published calls back without a word about the answer.
const answered = async (send) => {
  await new Promise(send)
  return latestAnswer()
}

await step('page_view', () => answered((callback) => trackPageview({}, { callback })))
await step('event', () => answered((callback) => trackEvent(event.name, { props: event.parameters, callback })))
close()
