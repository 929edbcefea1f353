//! For tests: what a loss of power leaves of the files that a process wrote.
//!
//! A [`Case`] is work of production's own code that says what it has acknowledged, and a check that opens a directory the
//! same way. The work runs in a process of its own under `strace`, which gives every call that changes a file, in order.
//! A model of a disk then keeps bytes only by the fsync of their file and names only by that of their directory; of
//! all else any part may be there, in any order, torn at any sector. For each cut, what the disk may hold is laid out
//! in a directory, and the check looks for everything acknowledged until then.
//!
//! The same log without one of its syncs is what a build without it would have done: the check must notice.

mod cut;
mod disk;
mod log;
mod parse;
mod record;
mod survivors;
mod table;
mod trace;

use std::path::Path;

pub use cut::Case;
pub use disk::ForgetfulFile;
pub use record::{acknowledged, step};

/// Whether what a loss of power left, laid out in a directory, holds everything in the acknowledgements before it.
pub type Check = fn(root: &Path, acknowledged: &[String]) -> Result<(), String>;

#[cfg(test)]
mod tests;
