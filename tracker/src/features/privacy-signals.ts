/**
 * What the browser says on behalf of its user, where the site has chosen to follow it.
 */
import { settings } from '../settings'

/** Whether the browser asks not to be counted. */
export const isUnwanted = (): unknown =>
  (settings.dnt && navigator.doNotTrack == '1') ||
  (settings.gpc && (navigator as { globalPrivacyControl?: boolean }).globalPrivacyControl)
