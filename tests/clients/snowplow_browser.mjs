// @snowplow/browser-tracker: Snowplow's tracker for pages, with cookies across origins. ID is the application's id.
import { close } from './page.mjs'
import { baseUrl, id, reporter, scenario } from './report.mjs'
import {
  newTracker, setUserId, trackPageView, trackSelfDescribingEvent, trackStructEvent,
} from '@snowplow/browser-tracker'

const step = reporter('@snowplow/browser-tracker')
const { event, user } = scenario

let settle, message
newTracker('shop', baseUrl, {
  appId: id,
  contexts: { webPage: true },
  onRequestSuccess: (events, response) => settle?.resolve(`${response.status}`),
  onRequestFailure: (failure) => settle?.reject(new Error(`${failure.status} ${failure.message}, retried: ${failure.willRetry}`)),
  // The next hit gets this message id in the place of a new one.
  plugins: [{ beforeTrack: (hit) => { if (message) hit.add('eid', message) } }],
})

const send = (track) => new Promise((resolve, reject) => {
  settle = { resolve, reject }
  track()
})
const signup = () => trackSelfDescribingEvent({
  event: { schema: 'iglu:com.example/signup/jsonschema/1-0-0', data: event.parameters },
})

await step('page_view', () => send(() => trackPageView()))
await step('event', () => send(signup))
await step('identify', () => {
  setUserId(user)
  return send(() => trackStructEvent({
    category: 'account', action: event.name, label: event.parameters.plan, value: event.parameters.seats,
  }))
})
message = scenario.message
await step('event', () => send(signup))
await step('repeat', () => send(signup))
close()
process.exit()
