/**
 * Clicks on links that lead away: to other hosts, and to files.
 */
import { on } from './guard'
import { send } from './page'
import { settings } from './settings'

/** Sends `outbound_click` and `file_download`; of a file elsewhere only the latter. */
export const watchLinks = (): void =>
  on<MouseEvent>('click auxclick', (event) => {
    // The path reaches into shadow trees, where the target does not.
    const link = event.composedPath().find((node) => (node as HTMLAnchorElement).href) as HTMLAnchorElement
    // The middle button opens links, too; the right one opens a menu.
    if (event.button > 1 || !/^http/.test(link?.protocol)) return
    const { downloads, outbound } = settings
    if (downloads && (link.download || RegExp(`\\.(${downloads})$`, 'i').test(link.pathname))) {
      send('file_download', { link_url: link.href })
    } else if (outbound && link.host != location.host) send('outbound_click', { link_url: link.href })
  })
