//! Measured values as buckets, so that counts of them add up and percentiles can be told from the counts.
//!
//! Values below 32 stand for themselves. Above, each doubling has 16 buckets, as in an HDR histogram with one digit and a half: a value is
//! told by the middle of its bucket, at most 3.2 % away.

/// Values below stand for themselves.
const EXACT: u32 = 32;
/// Bits of a value that its bucket keeps, the highest included.
const KEPT_BITS: u32 = 5;

/// The middle of the value's bucket.
pub fn rounded(value: u32) -> u32 {
    if value < EXACT {
        return value;
    }
    let dropped = u32::BITS - value.leading_zeros() - KEPT_BITS;
    (value >> dropped << dropped) | 1 << (dropped - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_within_3_2_percent() {
        for value in (0..100_000).chain([1 << 20, (1 << 30) + 12_345, u32::MAX - 1, u32::MAX]) {
            let told = rounded(value);
            let error = f64::from(told.abs_diff(value)) / f64::from(value.max(1));
            assert!(error <= 0.032, "{value} is told as {told}");
            assert_eq!(rounded(told), told, "{value}");
        }
        assert_eq!([0, 1, 31, 32, 33, 34, 1_000].map(rounded), [0, 1, 31, 33, 33, 35, 1_008]);
    }
}
