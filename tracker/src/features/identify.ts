/**
 * What the site knows: who the visitor is, and what goes along with every event. Both are forgotten with the page.
 */
import { commands } from '../commands'
import { type Hit, cut } from '../hit'
import { hitFillers } from '../page'

const ID_BYTES = 128

let userId = ''
let properties = {}

const fill = (hit: Hit): void => {
  if (userId) hit.client_id = userId
  hit.params = { ...properties, ...hit.params }
}

/** The commands `identify` (without an id: nobody any more) and `set`. */
export const takeIdentity = (): void => {
  hitFillers.push(fill)
  commands.identify = (id, further) => {
    userId = id == null ? '' : cut(id, ID_BYTES)
    commands.set!(further)
  }
  commands.set = (further) => {
    properties = { ...properties, ...further }
  }
}
