//! Drives load at a running Meridian and measures what its users feel.
