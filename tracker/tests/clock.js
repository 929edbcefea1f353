/**
 * A clock that stands still until it is told to go on, with the timers that hang on it.
 */
export const createClock = (startMs = Date.UTC(2026, 0, 31, 12)) => {
  let nowMs = startMs
  let lastId = 0
  const timers = new Map()

  // What was promised happens between two timers, as in a browser.
  const settle = () => new Promise((resolve) => setImmediate(resolve))

  const set = (run, delayMs = 0, everyMs) => {
    timers.set(++lastId, { run, dueMs: nowMs + delayMs, everyMs })
    return lastId
  }

  const nextDue = (untilMs) => {
    const due = [...timers].filter(([, { dueMs }]) => dueMs <= untilMs)
    return due.sort(([, one], [, other]) => one.dueMs - other.dueMs)[0]
  }

  return {
    now: () => nowMs,
    /** The time goes on by so many milliseconds; what becomes due meanwhile runs. */
    advance: async (ms) => {
      const untilMs = nowMs + ms
      await settle()
      for (let next = nextDue(untilMs); next; next = nextDue(untilMs)) {
        const [id, timer] = next
        nowMs = timer.dueMs
        if (timer.everyMs) timer.dueMs += timer.everyMs
        else timers.delete(id)
        timer.run()
        await settle()
      }
      nowMs = untilMs
    },
    settle,
    globals: {
      Date: { now: () => nowMs },
      performance: { now: () => nowMs - startMs + 1, getEntriesByType: () => [] },
      setTimeout: (run, delayMs) => set(run, delayMs),
      setInterval: (run, everyMs) => set(run, everyMs, everyMs),
      clearTimeout: (id) => timers.delete(id)
    }
  }
}
