/**
 * What keeps the tracker's faults out of the page: every function that the browser or the page calls goes through here.
 * A fault costs a hit, never an error in the page or in its own error monitor.
 */

/** The same function, except that it swallows what it throws. */
export const guard =
  <Args extends unknown[]>(run: (...args: Args) => void) =>
  (...args: Args): void => {
    try {
      run(...args)
    } catch {
      // Nobody here could do anything about it.
    }
  }

/** Listens to events, named with spaces between, before the page's own listeners can stop them. */
export const on = <E extends Event>(types: string, run: (event: E) => void): void => {
  for (const type of types.split(' ')) addEventListener(type, guard(run as (event: Event) => void), true)
}
