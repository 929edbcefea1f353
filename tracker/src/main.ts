/**
 * From the script's tag to a running tracker.
 */
import { takeCommands } from './commands'
import { guard, on } from './guard'
import { watchLinks } from './links'
import { readOptOut } from './opt-out'
import { enter, watchPages } from './page'
import { watchNetwork } from './queue'
import { readSettings, settings } from './settings'

/** Starts the tracker; `prepare` comes before the page's first command, and says whether anything may be counted. */
export const main = guard((prepare?: () => boolean): void => {
  // The same tag twice counts once.
  if (window.meridian?.isLoaded) return
  readSettings(MERIDIAN_SETTINGS, document.currentScript as HTMLScriptElement | null)
  if (!settings.measurement_id) return

  const start = (): void => {
    if (FULL && !prepare!()) {
      // Calls of the page go nowhere.
      window.meridian = () => {}
      return
    }
    readOptOut()
    enter(false)
    // Commands before the first page view: they may say who it is.
    takeCommands()
    watchPages()
    watchLinks()
    watchNetwork()
  }
  // A page that the browser prepares unseen is counted when it is shown, if ever.
  if ((document as { prerendering?: boolean }).prerendering) on('prerenderingchange', start)
  else start()
})
