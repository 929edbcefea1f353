//! What a hub refuses, by name: the codes of `meridian.batch.v1.Refused`.

use std::fmt;

use proto::batch::Refused;

/// Bytes of a refusal's sentence on the wire; longer ones are cut.
const MESSAGE_BYTES: usize = 512;

/// Why a hub refuses.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RefusalCode {
    /// No version that both speak, or bytes that are no frame of it.
    Version,
    /// The certificate, the hello and the batch do not name the same edge, epoch and lane.
    Identity,
    /// Header or payload is not what an edge seals.
    Corrupt,
    /// A batch beyond the limit.
    TooLarge,
    /// The hub stops; another one, or the same one later, will take the batch.
    ShuttingDown,
    /// A code that this build does not know.
    Other(String),
}

impl RefusalCode {
    /// The code on the wire and in metrics.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Version => "version",
            Self::Identity => "identity",
            Self::Corrupt => "corrupt",
            Self::TooLarge => "too_large",
            Self::ShuttingDown => "shutting_down",
            Self::Other(code) => code,
        }
    }
}

impl From<&str> for RefusalCode {
    fn from(code: &str) -> Self {
        [Self::Version, Self::Identity, Self::Corrupt, Self::TooLarge, Self::ShuttingDown]
            .into_iter()
            .find(|known| known.as_str() == code)
            .unwrap_or_else(|| Self::Other(code.to_owned()))
    }
}

impl fmt::Display for RefusalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A refusal: the code for the program, one sentence for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({code})")]
pub struct Refusal {
    /// Why.
    pub code: RefusalCode,
    /// One sentence.
    pub message: String,
}

impl Refusal {
    /// A refusal with its sentence.
    pub fn new(code: RefusalCode, message: impl fmt::Display) -> Self {
        Self { code, message: message.to_string() }
    }
}

impl From<Refused> for Refusal {
    fn from(message: Refused) -> Self {
        Self { code: RefusalCode::from(message.code.as_str()), message: message.message }
    }
}

impl From<&Refusal> for Refused {
    fn from(refusal: &Refusal) -> Self {
        let end = refusal.message.floor_char_boundary(MESSAGE_BYTES);
        Self { code: refusal.code.as_str().to_owned(), message: refusal.message[..end].to_owned() }
    }
}
