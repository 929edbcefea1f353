//! Secrets and ids: random ones, what is stored of them, and comparison in constant time.
//!
//! Of an API secret and a report key only the SHA-256 is stored: they are 32 random bytes, so a slow hash would add
//! nothing. Invariant: no `Debug` output shows a key.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// RFC 4648, lower case.
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Bytes of randomness in a secret.
const SECRET_BYTES: usize = 32;

/// Characters of an id behind its prefix.
const ID_CHARS: usize = 12;
/// Characters of a measurement id behind `M-`.
pub(crate) const MEASUREMENT_ID_CHARS: usize = 10;

/// SHA-256 of a secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// The hash of this secret.
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }

    /// Whether `secret` is the one that was hashed; takes the same time for every secret of the same length.
    pub fn accepts(&self, secret: &str) -> bool {
        self.0.ct_eq(&Self::of(secret).0).into()
    }

    /// As it is stored.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for KeyHash {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(…)")
    }
}

/// A secret that server-side hits and imports are sent with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ApiSecret {
    /// What is stored of it.
    pub hash: KeyHash,
    /// Unix milliseconds from which on it is refused; 0: never.
    pub expires_at_ms: u64,
}

/// The permanent key of a property's visitor ids. A new one would make every known visitor a new one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct VisitorKey([u8; 16]);

impl VisitorKey {
    /// A new random key.
    ///
    /// # Errors
    /// When the operating system gives no random bytes.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// The key for SipHash.
    pub fn bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl From<[u8; 16]> for VisitorKey {
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for VisitorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VisitorKey(…)")
    }
}

/// A random secret of 256 bits with a prefix that says what it is for: `sk_…`.
pub fn random_secret(prefix: &str) -> Result<String, getrandom::Error> {
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes)?;
    Ok(format!("{prefix}{}", base32(&bytes)))
}

/// A random id of 60 bits with a prefix that says what it is of: `o_…`.
pub fn random_id(prefix: &str) -> Result<String, getrandom::Error> {
    Ok(format!("{prefix}{}", random_base32(ID_CHARS)?))
}

/// A random measurement id of 50 bits: `M-…`.
pub fn random_measurement_id() -> Result<String, getrandom::Error> {
    Ok(format!("M-{}", random_base32(MEASUREMENT_ID_CHARS)?.to_ascii_uppercase()))
}

/// Whether `text` has the form of an id with this prefix.
pub fn is_id(prefix: &str, text: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|rest| is_base32(rest, ID_CHARS))
}

/// `count` random characters of `a-z2-7`, five bits each.
pub(crate) fn random_base32(count: usize) -> Result<String, getrandom::Error> {
    let mut bytes = vec![0; count];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| digit(byte & 31)).collect())
}

/// Whether `text` is `count` characters of `a-z2-7`.
pub(crate) fn is_base32(text: &str, count: usize) -> bool {
    text.len() == count && text.bytes().all(|byte| BASE32.contains(&byte))
}

fn base32(bytes: &[u8]) -> String {
    let (mut text, mut bits, mut held) = (String::new(), 0_u16, 0);
    for byte in bytes {
        bits = (bits << 8) | u16::from(*byte);
        held += 8;
        while held >= 5 {
            held -= 5;
            text.push(digit(bits >> held & 31));
        }
        // What is held fits four bits now, so the next byte shifts nothing out.
        bits &= (1 << held) - 1;
    }
    if held > 0 {
        text.push(digit(bits << (5 - held) & 31));
    }
    text
}

fn digit(five_bits: impl Into<usize>) -> char {
    BASE32.get(five_bits.into()).copied().map_or('a', char::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base32_is_that_of_rfc_4648() {
        for (bytes, text) in [("", ""), ("f", "my"), ("fo", "mzxq"), ("foobar", "mzxw6ytboi")] {
            assert_eq!(base32(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn secret_is_accepted_by_its_own_hash_only() {
        let secret = random_secret("sk_").unwrap();
        assert_eq!(secret.len(), 3 + 52);
        let hash = KeyHash::of(&secret);
        assert!(hash.accepts(&secret));
        assert!(!hash.accepts(&random_secret("sk_").unwrap()));
        assert!(!hash.accepts(""));
        assert!(!format!("{hash:?}").contains(&hash.to_string()));
    }

    #[test]
    fn hash_is_sha256_of_the_text() {
        // FIPS 180-4, the example of "abc".
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(KeyHash::of("abc").to_string(), expected);
    }
}
