/**
 * Money and goods: `meridian('revenue', 49.9, 'EUR', { items: [{ item_id: 'SKU-1', price: 24.95, quantity: 2 }] })`, and `items` of
 * any other event.
 */
import { commands } from '../commands'
import { clean, cut, type Item } from '../hit'
import { hitFillers, send } from '../page'

/** What of them goes into one request, in UTF-16 units of their JSON: with the other fields it stays below the server's 64 KiB. */
const MAX_CHARS = 12e3
const MAX_ITEMS = 200
const MAX_PARAMS = 10
const NAME_BYTES = 100
/** Above these the server refuses. */
const MOST = { price: 1e10, quantity: 1e9 }

// Of the event that is being sent.
let items: Item[] | undefined

/** An item as the collect port takes it; nothing of one that has neither id nor name. */
const cleanItem = (sent: Record<string, unknown>): Item[] => {
  const item: Item = {}
  for (const name of ['item_id', 'item_name', 'item_brand', 'item_category', 'item_variant']) {
    if (sent[name] != null) item[name] = cut(sent[name], NAME_BYTES)
  }
  for (const name of ['price', 'quantity'] as const) {
    // A text may be a number, too; what is none is left out, and so is what can be none.
    const number = sent[name] == null ? NaN : +(sent[name] as number)
    if (number >= 0 && number <= MOST[name]) item[name] = number
  }
  const { item_id, item_name, item_brand, item_category, item_variant, price, quantity, ...others } = sent
  Object.assign(item, Object.fromEntries(Object.entries(clean(others)).slice(0, MAX_PARAMS)))
  return item.item_id || item.item_name ? [item] : []
}

const sendWithItems = (event: unknown, params?: { items?: unknown }): void => {
  const { items: sent, ...others } = params || {}
  let chars = 0
  if (Array.isArray(sent)) {
    items = sent
      .slice(0, MAX_ITEMS)
      .flatMap((item) => cleanItem(Object(item)))
      .filter((item) => (chars += JSON.stringify(item).length) < MAX_CHARS)
  } else if (sent != null) Object.assign(others, { items: sent })
  try {
    send(event, others)
  } finally {
    items = undefined
  }
}

/** The command `revenue`, which sends `purchase`; and goods of events. */
export const takeRevenue = (): void => {
  hitFillers.push((hit) => {
    if (items?.[0]) hit.items = items
  })
  commands.event = sendWithItems
  commands.revenue = (value, currency, params) => sendWithItems('purchase', { ...params, value, currency })
}
