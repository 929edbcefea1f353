/**
 * Money: `meridian('revenue', 49.9, 'EUR', { order: 'A-17' })`.
 */
import { commands } from '../commands'
import { send } from '../page'

/** The command `revenue`, which sends `purchase`. */
export const takeRevenue = (): void => {
  commands.revenue = (value, currency, params) => send('purchase', { ...params, value, currency })
}
