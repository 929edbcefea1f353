import assert from 'node:assert/strict'
import test from 'node:test'
import { openBrowser } from './browser.js'

const DAY_MS = 24 * 3600 * 1000
/** A wait after a failure is the doubled one before, and up to half as much again. */
const longest = (ms) => ms * 1.5

const openQueue = (isFull = false) => {
  const browser = openBrowser()
  const { settings, ...queue } = browser.run('../tests/queue-and-settings.ts', isFull)
  Object.assign(settings, { endpoint: 'https://edge.example/v1/collect', measurement_id: 'M-1' })
  queue.watchNetwork()
  let pushed = 0
  const push = (fields = {}) => queue.push({ id: `id-${++pushed}`, at_ms: browser.clock.now(), ...fields })
  return { ...browser, queue, push, requests: browser.server.requests }
}

const sent = ({ hits }) => hits.map(({ id, attempt, age_ms }) => [id, attempt ?? 0, age_ms])
const ids = ({ hits }) => hits.map(({ id }) => id)

test('hits of a moment travel together, with their ages', async () => {
  const { push, clock, requests } = openQueue()
  push()
  await clock.advance(200)
  push()
  await clock.advance(299)
  assert.equal(requests.length, 0)
  await clock.advance(1)
  assert.deepEqual(requests.map(sent), [[['id-1', 0, 500], ['id-2', 0, 300]]])
})

test('one request is under way at a time', async () => {
  const { push, clock, requests } = openQueue()
  push()
  await clock.advance(500)
  push()
  await clock.advance(60_000)
  assert.equal(requests.length, 1)
  requests[0].answer(204)
  await clock.advance(0)
  assert.deepEqual(requests.map(ids), [['id-1'], ['id-2']])
})

test('what failed is tried again with the same id, a rising attempt and the time of the event', async () => {
  const { push, clock, requests } = openQueue()
  push()
  await clock.advance(500)
  requests[0].fail()
  await clock.advance(longest(2000))
  requests[1].answer(503)
  await clock.advance(longest(4000))
  assert.equal(requests.length, 3)
  for (const [index, { hits }] of requests.entries()) {
    assert.equal(hits[0].id, 'id-1')
    assert.equal(hits[0].attempt ?? 0, index)
  }
  const ages = requests.map(({ hits }) => hits[0].age_ms)
  assert.ok(ages[0] === 500 && ages[1] >= 2500 && ages[2] >= 6500, String(ages))
})

test('the waits after failures double up to five minutes, and begin anew after a success', async () => {
  const { push, clock, requests } = openQueue()
  push()
  await clock.advance(500)
  for (const waitMs of [2000, 4000, 8000, 16_000, 32_000, 64_000, 128_000, 256_000, 300_000, 300_000]) {
    const count = requests.length
    requests.at(-1).fail()
    await clock.advance(waitMs - 1)
    assert.equal(requests.length, count, `earlier than ${waitMs}`)
    await clock.advance(waitMs / 2 + 1)
    assert.equal(requests.length, count + 1, `later than ${waitMs}`)
  }
  requests.at(-1).answer(204)
  await clock.settle()
  push()
  await clock.advance(500)
  const count = requests.length
  requests.at(-1).fail()
  await clock.advance(longest(2000))
  assert.equal(requests.length, count + 1)
})

test('hits that come during a wait do not shorten it', async () => {
  const { push, clock, requests } = openQueue()
  push()
  await clock.advance(500)
  requests[0].fail()
  await clock.settle()
  push()
  await clock.advance(1999)
  assert.equal(requests.length, 1)
  await clock.advance(1001)
  assert.deepEqual(ids(requests[1]), ['id-1', 'id-2'])
})

test('a server that names a time is left alone until then', async () => {
  for (const status of [429, 503]) {
    const { push, clock, requests } = openQueue()
    push()
    await clock.advance(500)
    requests[0].answer(status, { 'Retry-After': '120' })
    await clock.advance(119_999)
    assert.equal(requests.length, 1)
    await clock.advance(60_001)
    assert.equal(requests.length, 2)
  }
})

test('what the server refuses is dropped, what it could not take is not', async () => {
  for (const [status, tries] of [[200, 1], [204, 1], [400, 1], [401, 1], [404, 1], [413, 1], [408, 2], [429, 2], [500, 2], [502, 2], [503, 2]]) {
    const { push, clock, requests } = openQueue()
    push()
    await clock.advance(500)
    requests[0].answer(status)
    await clock.advance(60_000)
    assert.equal(requests.length, tries, String(status))
  }
})

test('the return of the network ends the wait', async () => {
  const { push, clock, requests, goOffline, goOnline } = openQueue()
  push()
  await clock.advance(500)
  goOffline()
  requests[0].fail()
  await clock.settle()
  goOnline()
  assert.equal(requests.length, 2)
})

test('a hit is given up when the server may have forgotten its id', async () => {
  const { push, clock, requests } = openQueue()
  push()
  push({ at_ms: clock.now() - DAY_MS + 400 })
  push({ at_ms: clock.now() - DAY_MS + 501 })
  await clock.advance(500)
  assert.deepEqual(ids(requests[0]), ['id-1', 'id-3'])
})

test('a clock that was put back makes no negative age', async () => {
  const { push, clock, requests } = openQueue()
  push({ at_ms: clock.now() + 3_600_000 })
  await clock.advance(500)
  assert.equal(requests[0].hits[0].age_ms, 0)
})

test('requests stay within what the server takes, and a long hit goes alone', async () => {
  const { push, clock, requests, server } = openQueue()
  server.answerAll()
  for (let count = 0; count < 120; count++) push({ url: 'https://shop.example/', title: 'x'.repeat(100) })
  push({ title: '€'.repeat(17_000) })
  push()
  await clock.advance(2000)
  assert.equal(server.hits().length, 122)
  for (const { init, hits } of requests) {
    assert.ok(hits.length <= 100)
    assert.ok(Buffer.byteLength(init.body) <= 65_536 || hits.length === 1)
  }
  assert.deepEqual(requests.slice(-2).map(ids), [['id-121'], ['id-122']])
})

test('no more than 200 hits wait, the newest', async () => {
  const { push, queue } = openQueue()
  for (let count = 0; count < 205; count++) push()
  assert.equal(queue.readWaiting().length, 200)
  assert.equal(queue.readWaiting()[0].id, 'id-6')
})

test('a page that closes hands over all that waits, once', async () => {
  const { push, clock, requests, queue, server } = openQueue()
  push()
  await clock.advance(500)
  push()
  queue.flush(true)
  queue.flush(true)
  requests[0].fail()
  await clock.advance(600_000)
  assert.deepEqual(requests.map(ids), [['id-1']])
  assert.deepEqual(server.beacons.map(ids), [['id-2']])
})

test('a page that comes back goes on sending, without what it left behind', async () => {
  const { push, clock, requests, queue } = openQueue()
  push()
  await clock.advance(500)
  queue.flush(true)
  requests[0].fail()
  await clock.settle()
  push()
  await clock.advance(500)
  assert.deepEqual(requests.map(ids), [['id-1'], ['id-2']])
})

test('a refused beacon is sent if the page comes back', async () => {
  const { push, clock, requests, queue, server } = openQueue()
  server.refuseBeacons()
  push()
  queue.flush(true)
  await clock.advance(longest(2000))
  assert.deepEqual(requests.map(sent).map(([[id, attempt]]) => [id, attempt]), [['id-1', 1]])
})

test('an answer that says no counts also after the page was left', async () => {
  const { push, clock, requests, queue } = openQueue()
  push()
  await clock.advance(500)
  queue.flush(true)
  requests[0].answer(503)
  await clock.advance(longest(2000))
  assert.deepEqual(requests.map(ids), [['id-1'], ['id-1']])
})

test('a page that closes offline keeps what waits', async () => {
  const { push, queue, server, goOffline, goOnline, requests } = openQueue()
  push()
  goOffline()
  queue.flush(true)
  assert.deepEqual(server.hits(), [])
  goOnline()
  assert.deepEqual(requests.map(ids), [['id-1']])
})

test('a store that cannot be written gives way to memory', async () => {
  const { push, clock, queue, requests } = openQueue(true)
  const full = () => {
    throw new Error('quota')
  }
  queue.moveTo({ read: () => [], write: full })
  push()
  await clock.advance(500)
  assert.deepEqual(requests.map(ids), [['id-1']])
})
