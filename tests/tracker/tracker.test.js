/**
 * The tracker in Chromium, from a click to the report. One Meridian and one browser serve all cases; each case has a property,
 * a site and a person of its own.
 */
import { after, before } from 'node:test'
import { attention } from './cases/attention.js'
import { automation } from './cases/automation.js'
import { depth } from './cases/depth.js'
import { features } from './cases/features.js'
import { leaving } from './cases/leaving.js'
import { links } from './cases/links.js'
import { routes } from './cases/routes.js'
import { served } from './cases/served.js'
import { troubles } from './cases/troubles.js'
import { startWorld } from './harness/world.js'

let running
before(async () => {
  running = await startWorld()
})
after(() => running?.stop())

for (const cases of [routes, leaving, links, troubles, attention, depth, automation, features, served]) cases(() => running)
