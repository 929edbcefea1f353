//! What leaving out each sync did.

use std::fmt;

/// A line per sync.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) rows: Vec<Row>,
}

#[derive(Debug, Default)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// Cuts right before and after it, with all syncs in place.
    pub(crate) cuts: u64,
    /// Cuts without it.
    pub(crate) tried: u64,
    /// Those that lost something.
    pub(crate) losses: u64,
    /// Why it may be left out.
    pub(crate) reason: Option<&'static str>,
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
        writeln!(f, "{:width$}  cuts at it  cuts without it  losses", "sync")?;
        for row in &self.rows {
            write!(f, "{:width$}  {:>10}  {:>15}  {:>6}", row.name, row.cuts, row.tried, row.losses)?;
            match row.reason {
                Some(reason) => writeln!(f, "  {reason}")?,
                None => writeln!(f)?,
            }
        }
        Ok(())
    }
}
