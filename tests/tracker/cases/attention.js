import assert from 'node:assert/strict'
import test from 'node:test'
import { launchPlain } from '../harness/chromium.js'
import { stay, until } from '../harness/until.js'
import { becomes, windowOf } from '../harness/window.js'
import { openCase } from '../harness/world.js'

/** How long a person is there before and after, and away between: whoever counts the time away tells far too much. */
const HERE_MS = 1500
const AWAY_MS = 8000

/** A visit with an absence: the engagement that was told is at most the time that was spent. */
const visitWithAbsence = async (visit, page, { goAway, comeBack }) => {
  const startMs = Date.now()
  await page.goto(`${visit.home}/shoes`)
  await becomes(page, 'visible, focused')
  await stay(page, HERE_MS)
  await goAway()
  const awayMs = Date.now()
  await stay(page, AWAY_MS)
  const backMs = Date.now()
  await comeBack()
  await becomes(page, 'visible, focused')
  await stay(page, HERE_MS)
  await page.close()
  const spentMs = awayMs - startMs + Date.now() - backMs
  const engagedMs = () => visit.hits('engagement').reduce((sum, hit) => sum + hit.engagement_ms, 0)
  await until('both parts were told', () => engagedMs() >= 2 * HERE_MS * 0.9)
  assert.ok(engagedMs() <= spentMs, `${engagedMs()} ms were told, the page was looked at for ${spentMs} ms`)
}

/** @param world The running system. */
export const attention = (world) => {
  test('time does not count while another window has the focus', async (t) => {
    const visit = await openCase(world(), t)
    const page = await visit.newPage()
    await visitWithAbsence(visit, page, {
      goAway: async () => {
        const devtools = await visit.person.newCDPSession(page)
        await devtools.send('Emulation.setFocusEmulationEnabled', { enabled: false })
        const other = await visit.person.newPage()
        await other.bringToFront()
        await becomes(page, 'visible, not focused')
      },
      comeBack: () => page.bringToFront()
    })
    await visit.expect({ page_views: 1, events: 2, sessions: 1, visitors: 1 }, { page_view: 1, engagement: 1 })
  })

  test('time does not count while the page is hidden', async (t) => {
    const plain = await launchPlain()
    t.after(plain.stop)
    const visit = await openCase(world(), t, { context: plain.context })
    const page = await visit.newPage()
    const setWindow = await windowOf(page)
    await visitWithAbsence(visit, page, {
      goAway: async () => {
        await setWindow('minimized')
        await becomes(page, 'hidden, not focused')
        await visit.untilHits(1, 'engagement')
      },
      comeBack: () => setWindow('normal')
    })
    await visit.expect({ page_views: 1, events: 3, sessions: 1, visitors: 1 }, { page_view: 1, engagement: 2 })
  })
}
