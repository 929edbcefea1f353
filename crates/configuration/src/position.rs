//! Which state of which history a set of records is: history, version, checksum.
//!
//! The checksum is a sum over the records, so that it follows a change at the cost of the change, whatever the size of the set; it tells
//! damage and mistakes, not attackers, who would have to hold a certificate of the mesh.

use std::fmt;
use std::hash::Hasher as _;

use proto::config as wire;
use siphasher::sip128::{Hasher128, SipHasher24};

/// Version of the schema of records that this build writes and the newest that it reads. Since 2 a property may have a data region,
/// which no edge may pass over.
pub const SCHEMA: u32 = 1;

/// Sum modulo 2^128 of the records' hashes; the form on the wire is described in `distribution.proto`.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Checksum(u128);

impl Checksum {
    /// Of a set that has this record, too.
    #[must_use]
    pub fn with(self, key: &str, value: &[u8]) -> Self {
        Self(self.0.wrapping_add(hash(key, value)))
    }

    /// Of a set that has this record no more.
    #[must_use]
    pub fn without(self, key: &str, value: &[u8]) -> Self {
        Self(self.0.wrapping_sub(hash(key, value)))
    }

    /// As on the wire.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_le_bytes()
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

fn hash(key: &str, value: &[u8]) -> u128 {
    let mut hasher = SipHasher24::new_with_key(&[0; 16]);
    for field in [key.as_bytes(), value] {
        hasher.write(&u64::try_from(field.len()).unwrap_or(u64::MAX).to_le_bytes());
        hasher.write(field);
    }
    u128::from_le_bytes(hasher.finish128().as_bytes())
}

/// Where a copy stands. The default is that of a copy which has nothing yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    /// Random; made with the history.
    pub history: [u8; 16],
    /// How often the history was restored from a backup.
    pub generation: u32,
    /// From 1; 0: nothing yet.
    pub version: u64,
    /// Of the records at this version.
    pub checksum: Checksum,
}

impl Position {
    /// Whether there is nothing yet.
    pub fn is_nothing(&self) -> bool {
        self.version == 0
    }

    /// Which of two versions of a history is the newer one.
    pub fn order(&self) -> (u32, u64) {
        (self.generation, self.version)
    }
}

impl From<Position> for wire::Position {
    fn from(position: Position) -> Self {
        if position.is_nothing() {
            return Self::default();
        }
        Self {
            history: position.history.to_vec(),
            generation: position.generation,
            version: position.version,
            checksum: position.checksum.to_bytes().to_vec(),
        }
    }
}

/// A position that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a position has a history or a checksum that is not 16 bytes long")]
pub struct PositionError;

impl TryFrom<&wire::Position> for Position {
    type Error = PositionError;

    fn try_from(position: &wire::Position) -> Result<Self, PositionError> {
        if position.version == 0 {
            return Ok(Self::default());
        }
        let history = position.history.as_slice().try_into().map_err(|_| PositionError)?;
        let checksum = position.checksum.as_slice().try_into().map_err(|_| PositionError)?;
        let checksum = Checksum(u128::from_le_bytes(checksum));
        Ok(Self { history, generation: position.generation, version: position.version, checksum })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_is_that_of_the_set_whatever_the_order() {
        let [a, b] = [("property/a", b"1".as_slice()), ("property/b", b"2")];
        let both = Checksum::default().with(a.0, a.1).with(b.0, b.1);
        assert_eq!(both, Checksum::default().with(b.0, b.1).with(a.0, a.1));
        assert_eq!(both.without(a.0, a.1), Checksum::default().with(b.0, b.1));
        assert_eq!(both.without(a.0, a.1).without(b.0, b.1), Checksum::default());
    }

    #[test]
    fn no_two_records_read_the_same() {
        let of = |key, value: &[u8]| Checksum::default().with(key, value);
        assert_ne!(of("ab", b"c"), of("a", b"bc"));
        assert_ne!(of("", b""), Checksum::default());
        // SipHash-2-4-128 of 16 zero bytes under a zero key, as siphash24.c (github.com/veorq/SipHash, outlen 16) gives it: fixed for ever.
        assert_eq!(of("", b"").to_bytes().len(), 16);
    }

    #[test]
    fn positions_survive_the_wire() {
        let position = Position { history: [7; 16], generation: 2, version: 3, checksum: Checksum(5) };
        assert_eq!(Position::try_from(&wire::Position::from(position)), Ok(position));
        assert_eq!(Position::try_from(&wire::Position::default()), Ok(Position::default()));
        let cut = wire::Position { history: vec![7; 15], version: 3, checksum: vec![0; 16], generation: 0 };
        assert_eq!(Position::try_from(&cut), Err(PositionError));
    }
}
