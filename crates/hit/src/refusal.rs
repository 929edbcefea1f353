//! Why hits of a known property were not counted: the words that edge, rows and reports share.
//!
//! In: a reason from a WAL block, whatever build wrote it. Out: one of a fixed list, so that a column of reasons stays small.
//! `docs/errors.md` says what each means and what to do.

/// What collect says of requests and entries that it does not take, then what processing says of hits it takes and drops. Not in it:
/// what a repeat would cure, and what leaves the property unknown.
pub const REFUSAL_REASONS: [&str; 15] = [
    "invalid_json",
    "invalid_field",
    "missing_field",
    "unknown_field",
    "too_many_hits",
    "too_large",
    "invalid_secret",
    "secret_required",
    "over_quota",
    "rate_limited",
    "kind",
    "too_old",
    "no_consent",
    "impossible_time",
    "foreign_hostname",
];

/// What stands for a reason that is not in the list: a later build's.
pub const OTHER_REASON: &str = "other";

/// The reason as the list has it.
pub fn known_reason(reason: &str) -> &'static str {
    REFUSAL_REASONS.into_iter().find(|known| *known == reason).unwrap_or(OTHER_REASON)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_beyond_the_list_are_one() {
        assert_eq!(known_reason("invalid_field"), "invalid_field");
        assert_eq!(["", "Invalid_field", "x"].map(known_reason), ["other"; 3]);
    }

    #[test]
    fn every_reason_is_documented() {
        let text = include_str!("../../../docs/errors.md");
        let (_, table) = text.split_once("### Hits that are not counted").unwrap();
        for reason in REFUSAL_REASONS.into_iter().chain([OTHER_REASON]) {
            assert!(table.contains(&format!("| `{reason}` |")), "docs/errors.md lacks a row of {reason}");
        }
    }
}
