/**
 * Clicks on elements that say what they mean: `<button data-meridian-event="signup" data-meridian-plan="pro">`.
 */
import { on } from '../guard'
import { send } from '../page'

const PREFIX = 'data-meridian-'

/** Sends the event that the nearest such element names; its other attributes of that prefix are the parameters. */
export const watchClicks = (): void =>
  on('click', (event) => {
    const isMarked = (node: EventTarget): unknown => (node as Element).getAttribute?.(PREFIX + 'event')
    const element = event.composedPath().find(isMarked) as Element | undefined
    if (!element) return
    const params: Record<string, string> = {}
    for (const { name, value } of element.attributes) {
      if (name.startsWith(PREFIX)) params[name.slice(PREFIX.length).replace(/-/g, '_')] = value
    }
    const { event: named, ...others } = params
    send(named, others)
  })
