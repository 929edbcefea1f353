/**
 * What Chromium tells of browser and machine only when asked; it goes along with every hit, so that all hits of a visit are told alike.
 */
import { guard } from '../guard'
import type { Hit } from '../hit'
import { hitFillers } from '../page'
import { readWaiting, writeWaiting } from '../queue'

/** The part of User-Agent Client Hints that is read. */
interface UserAgentData {
  getHighEntropyValues(names: string[]): Promise<Record<string, any>>
}

/** Asks, and adds the answers to hits; also to those that wait already. */
export const askClientHints = (): void => {
  const { userAgentData } = navigator as { userAgentData?: UserAgentData }
  userAgentData?.getHighEntropyValues(['platformVersion']).then(
    guard(({ brands, platform, platformVersion, mobile }) => {
      const fill = (hit: Hit): void => {
        hit.client_hints = { brands, platform, platform_version: platformVersion, mobile }
      }
      const hits = readWaiting()
      hits.forEach(fill)
      writeWaiting(hits)
      hitFillers.push(fill)
    }),
    () => {}
  )
}
