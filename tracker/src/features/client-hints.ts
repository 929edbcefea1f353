/**
 * What Chromium tells of the machine only when asked; it goes along with page views.
 */
import { guard } from '../guard'
import type { Hit } from '../hit'
import { hitFillers } from '../page'
import { readWaiting, writeWaiting } from '../queue'

/** The part of User-Agent Client Hints that is read. */
interface UserAgentData {
  getHighEntropyValues(names: string[]): Promise<Record<string, string | boolean>>
}

const HINTS = { ch_platform: 'platform', ch_platform_version: 'platformVersion', ch_model: 'model', ch_architecture: 'architecture', ch_mobile: 'mobile' }

/** Asks, and adds the answers to page views; also to one that waits already. */
export const askClientHints = (): void => {
  const { userAgentData } = navigator as { userAgentData?: UserAgentData }
  userAgentData?.getHighEntropyValues(Object.values(HINTS)).then(
    guard((answers) => {
      const hints = Object.fromEntries(Object.entries(HINTS).map(([name, hint]) => [name, answers[hint]!]))
      const fill = (hit: Hit): void => {
        if (hit.event == 'page_view') hit.params = { ...hints, ...hit.params }
      }
      const hits = readWaiting()
      hits.forEach(fill)
      writeWaiting(hits)
      hitFillers.push(fill)
    }),
    () => {}
  )
}
