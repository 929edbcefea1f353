/**
 * `meridian('event', 'signup', { plan: 'pro' })`: the function that pages call. Before the script is loaded the page's
 * snippet gathers the calls in `meridian.q`; here they are made up for, then the function is replaced.
 */
import { guard } from './guard'
import { optIn, optOut } from './opt-out'
import { enter, send } from './page'
import { writeWaiting } from './queue'

/** The function in the page. */
export interface Command {
  (name: string, ...args: any[]): void
  /** Calls before the script was loaded. */
  q?: ArrayLike<unknown>[]
  isLoaded?: boolean
}

declare global {
  var meridian: Command | undefined
}

/** What pages may call, by name. */
export const commands: Record<string, (...args: any[]) => void> = {
  event: (name, params) => send(name, params),
  page_view: (params) => enter(true, params),
  opt_out: () => {
    writeWaiting([])
    optOut()
  },
  opt_in: optIn
}

/** Takes over the page's function and the calls that were made before. */
export const takeCommands = (): void => {
  const command: Command = guard((name, ...args) => commands[name]!(...args))
  const queued = window.meridian?.q
  command.isLoaded = true
  window.meridian = command
  queued?.forEach((call) => command(...(call as [string])))
}
