/**
 * A visitor's wish not to be counted, by this browser on this site. It is the one thing that is stored without consent:
 * otherwise it could not be kept.
 */
import { guard } from './guard'

const KEY = 'meridian_opt_out'

let optedOut: unknown

/** Whether nothing is to be sent. */
export const isOptedOut = (): unknown => optedOut

/** Reads the wish; where storage is forbidden there is none. */
export const readOptOut = guard((): void => {
  optedOut = localStorage[KEY]
})

/** Nothing is sent from now on, nor what waits. */
export const optOut = (): void => {
  optedOut = 1
  localStorage[KEY] = 1
}

/** Takes it back. */
export const optIn = (): void => {
  optedOut = 0
  delete localStorage[KEY]
}
