/**
 * Submitted forms: which one, never what was entered.
 */
import { on } from '../guard'
import { send } from '../page'

/** Sends `form_submit`. */
export const watchForms = (): void =>
  on('submit', (event) => {
    const form = event.composedPath()[0] as HTMLFormElement
    // Not `form.id`: a field of that name would be in its place.
    const [form_id, form_name, form_action] = ['id', 'name', 'action'].map((name) => form.getAttribute(name))
    send('form_submit', { form_id, form_name, form_action })
  })
