//! How long what was counted of a property is kept.
//!
//! In: days as somebody asked for them. Out: days that can be used, or the reason why not. Edges do not know them: what is deleted, and
//! when, is decided behind them. Invariant: 0 means for ever, never "nothing".

/// Longest time that is a number of days: ten years. What is to stay longer stays for ever.
pub const RETENTION_MAX_DAYS: u32 = 3_650;

/// Whether hits can be kept so many days; 0: for ever.
///
/// # Errors
/// Says what would be right.
pub fn check_retention_days(days: u32) -> Result<(), String> {
    if days <= RETENTION_MAX_DAYS {
        return Ok(());
    }
    Err(format!(
        "which is more than ten years; give 1 to {RETENTION_MAX_DAYS} days, or 0 to keep it for ever"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_years_or_for_ever() {
        for (days, is_good) in [(0, true), (1, true), (3_650, true), (3_651, false), (u32::MAX, false)] {
            assert_eq!(check_retention_days(days).is_ok(), is_good, "{days}");
        }
    }
}
