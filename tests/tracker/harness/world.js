/**
 * Everything that a case needs: the shop, the edge, a browser, and a Meridian if there is one.
 */
import assert from 'node:assert/strict'
import { access } from 'node:fs/promises'
import { launch } from './chromium.js'
import { startEdge } from './edge.js'
import { startMeridian } from './meridian.js'
import { startShop } from './shop.js'
import { until } from './until.js'

const binary = process.env.MERIDIAN_BIN

/** Starts it all; `stop` ends it all, also after a part failed to start. */
export const startWorld = async () => {
  const started = []
  const keep = (part, stop) => {
    started.unshift(stop)
    return part
  }
  const stop = async () => {
    for (const end of started.splice(0)) await end()
  }
  try {
    if (binary) await access(binary)
    const meridian = binary && (await startMeridian(binary))
    if (meridian) keep(meridian, meridian.stop)
    const edge = await startEdge(meridian)
    keep(edge, edge.stop)
    const shop = await startShop()
    keep(shop, shop.stop)
    const browser = await launch()
    keep(browser, () => browser.close())
    return { meridian, edge, shop, browser, stop, cases: 0 }
  } catch (error) {
    await stop()
    throw error
  }
}

/** The tag of a script, with these attributes beside its address. */
const tagOf = (src, attributes) => {
  const texts = Object.entries(attributes).map(([name, value]) => ` data-${name}="${value}"`)
  return `<script defer src="${src}"${texts.join('')}></script>`
}

/**
 * A site of its own with one person on it.
 *
 * `attributes` go into the tag of `script`; with `settings` the tag names `/t/ID.js`, which has them inside, and `script` is the one
 * that does what they ask for. `isDirect`: pages turn to Meridian itself, if there is one, so that its hits are not seen here.
 */
export const openCase = async (world, t, options = {}) => {
  const { attributes = {}, settings, script = 't.js', context, isDirect } = options
  const { meridian, edge, shop, browser } = world
  const number = ++world.cases
  const property = meridian
    ? await meridian.createProperty()
    : { measurement_id: `M-${number}`, property_id: undefined }
  const id = property.measurement_id
  const site = edge.addSite(id)
  Object.assign(site, { script, settings: { measurement_id: id, ...settings } })
  if (meridian && settings) await meridian.setTracker(property, settings)
  const origin = (isDirect && meridian?.collect) || edge.origin
  const tag = settings
    ? tagOf(`${origin}/t/${id}.js`, attributes)
    : tagOf(`${origin}/${script}`, { 'measurement-id': id, ...attributes })
  const home = `${shop.origin}/case-${number}`
  shop.tags.set(`case-${number}`, tag)

  const person = context ?? (await browser.newContext())
  t.after(() => (context ? undefined : person.close()))
  const pageErrors = []
  const newPage = async () => {
    const page = await person.newPage()
    page.on('pageerror', (error) => pageErrors.push(String(error)))
    return page
  }

  const hits = (event) => {
    const all = site.requests.flatMap((request) => request.hits)
    return event ? all.filter((hit) => hit.event === event) : all
  }

  return {
    number,
    home,
    person,
    newPage,
    site,
    hits,
    /** Events and paths of all hits, in the order in which they came. */
    trail: () => hits().map(({ event, url }) => `${event} ${url.replace(home, '')}`),
    untilHits: (count, event) =>
      until(`${count} hits ${event ?? ''} have come`, () => hits(event).length >= count),
    /** Times at which this case's pages were shown, and whether from the back/forward cache. */
    untilShown: (path, persisted) =>
      until(`${path} was shown, persisted ${persisted}`, () =>
        shop.shown.includes(`/case-${number}${path} ${persisted}`)
      ),
    /**
     * What must hold at the end of each case: no error in a page, no hit refused, and the report is as written here; without
     * totals no report is compared.
     */
    expect: async (totals, byEvent) => {
      await until('all hits were passed on', () => site.requests.every(({ isPassedOn }) => isPassedOn))
      assert.deepEqual(pageErrors, [])
      assert.deepEqual(edge.faults, [])
      if (!totals) return
      if (!meridian) return t.diagnostic('without MERIDIAN_BIN no report is compared')
      const [row] = await meridian.report(property.property_id, [...Object.keys(totals), 'engagement_time'].join())
      const { engagement_time: engagementS, ...others } = row
      assert.deepEqual(others, totals)
      const toldMs = hits().reduce((sum, hit) => sum + (hit.engagement_ms ?? 0), 0)
      assert.ok(Math.abs(engagementS * 1000 - toldMs) <= 1000, `${engagementS} s are reported, ${toldMs} ms were told`)
      if (!byEvent) return
      const rows = await meridian.report(property.property_id, 'events', 'event_name')
      assert.deepEqual(Object.fromEntries(rows.map((row) => [row.event_name, row.events])), byEvent)
    }
  }
}
