/** The full script, `t.full.js`: what is on by default, and every feature that settings can switch on. */
import { watchClicks } from './features/clicks'
import { askClientHints } from './features/client-hints'
import { followConsent } from './features/consent'
import { watchForms } from './features/forms'
import { takeIdentity } from './features/identify'
import { watchNotFound } from './features/not-found'
import { isUnwanted } from './features/privacy-signals'
import { takeRevenue } from './features/revenue'
import { watchScroll } from './features/scroll'
import { watchWebVitals } from './features/web-vitals'
import { guard } from './guard'
import { main } from './main'
import { FULL_SETTINGS, type FullSettings, settings } from './settings'

const FEATURES: Partial<Record<keyof FullSettings, () => void>> = {
  // Before the others: it decides where hits wait.
  consent: followConsent,
  identify: takeIdentity,
  revenue: takeRevenue,
  forms: watchForms,
  not_found: watchNotFound,
  scroll: watchScroll,
  web_vitals: watchWebVitals,
  clicks: watchClicks,
  client_hints: askClientHints
}

for (const name of FULL_SETTINGS) settings[name] = false

main(() => {
  if (isUnwanted()) return false
  for (const name in FEATURES) if (settings[name as keyof FullSettings]) guard(FEATURES[name as keyof FullSettings]!)()
  return true
})
