/**
 * Engagement time: how long the page was visible and had the focus. Frames of the page count as the page.
 */

/** Less is not worth a hit; it stays and adds up. */
const MIN_MS = 1e3
/** Engagement is told at least so often: half of a session's time-out, so that a long read stays one session. */
export const HEARTBEAT_MS = 9e5

let totalMs = 0
// When the time being spent began; 0 while the page is not looked at.
let sinceMs = 0

/** Adds up the time until now; to be called whenever the page may have come into sight or out of it. */
export const settle = (isLeaving?: boolean): void => {
  // Not the time of day, which jumps.
  const nowMs = performance.now()
  // More without a heartbeat between is a machine that slept.
  if (sinceMs) totalMs += Math.min(nowMs - sinceMs, HEARTBEAT_MS)
  sinceMs = !isLeaving && !document.hidden && document.hasFocus() ? nowMs : 0
}

/** The time since the last call, if it is worth a hit; otherwise 0, and the time is kept. */
export const takeEngagedMs = (): number => {
  const takenMs = totalMs < MIN_MS ? 0 : Math.round(totalMs)
  if (takenMs) totalMs = 0
  return takenMs
}
