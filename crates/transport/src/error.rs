//! What can go wrong on the way to a hub, and whether trying again may help.

use identity::{Identity, IdentityError, TlsError};

use crate::frame::FrameError;
use crate::refusal::{Refusal, RefusalCode};

/// Why a connection, a lane or a batch failed.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The private key, which reset tokens are made of too, cannot be read.
    #[error("cannot read tls.key = {path:?}: {source}")]
    Key {
        /// The file.
        path: std::path::PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A setting has an impossible value.
    #[error("{0}")]
    Config(String),
    /// The socket cannot be opened.
    #[error("cannot open a UDP socket on {address}: {source}")]
    Socket {
        /// The local address.
        address: std::net::SocketAddr,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The connection cannot be begun: the endpoint is closed, or the address is none.
    #[error("cannot begin a connection to the hub: {0}")]
    Connect(#[from] quinn::ConnectError),
    /// The connection is lost, or was never made.
    #[error("the connection to the hub is lost: {0}")]
    Connection(#[from] quinn::ConnectionError),
    /// The hub did not answer in time.
    #[error("the hub did not answer within {after_ms} ms while {doing}")]
    TimedOut {
        /// What was waited for.
        doing: &'static str,
        /// How long, milliseconds.
        after_ms: u64,
    },
    /// The other end is not who it should be.
    #[error(transparent)]
    Peer(#[from] IdentityError),
    /// The hub that answers is another one than asked for.
    #[error("{found} answers where {expected} should")]
    OtherHub {
        /// Who answers.
        found: Box<Identity>,
        /// Who should.
        expected: Box<Identity>,
    },
    /// The hub refused the lane or a batch; the stream has ended.
    #[error("the hub refuses: {0}")]
    Refused(#[from] Refusal),
    /// The stream ended or was reset without a reason.
    #[error("the hub ended the stream")]
    Ended,
    /// What came is not a frame.
    #[error("the hub sent {0}")]
    Frame(#[from] FrameError),
    /// A frame that has no place here.
    #[error("the hub sent a frame that does not belong here: {0}")]
    Unexpected(&'static str),
}

impl TransportError {
    /// Whether the same may succeed on a new connection, perhaps to another hub, without anyone changing anything.
    /// What is not retryable needs a person; an edge raises an alarm and goes on trying at a slow pace.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Connection(_) | Self::TimedOut { .. } | Self::Ended => true,
            Self::Refused(refusal) => refusal.code == RefusalCode::ShuttingDown,
            Self::Tls(_)
            | Self::Key { .. }
            | Self::Config(_)
            | Self::Socket { .. }
            | Self::Connect(_)
            | Self::Peer(_)
            | Self::OtherHub { .. }
            | Self::Frame(_)
            | Self::Unexpected(_) => false,
        }
    }
}
