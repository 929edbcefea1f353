//! The batch protocol between edge and hub: sealed batches one way, acknowledgements the other, over QUIC.
//!
//! One bidirectional stream per lane. The edge says who it is ([`LaneId`]) and sends batches without waiting; the hub
//! acknowledges each once it is durable, in any order. In: [`batch::SealedBatch`]. Out: the same bytes, checked against
//! their header and the certificate of the sender.
//!
//! Invariants: nothing here acknowledges by itself (that a byte arrived says nothing about durability), and a batch
//! whose edge is not the certificate's never leaves the server.

pub mod frame;
pub mod refusal;
pub mod config;
pub mod error;
mod stream;
pub mod client;
pub mod server;

pub use client::{Connection, Endpoint, LaneId, LaneReceiver, LaneSender};
pub use config::{ServerConfig, TransportConfig};
pub use error::TransportError;
pub use proto::batch::Ack;
pub use refusal::{Refusal, RefusalCode};
pub use server::{AckHandle, Incoming, LaneQueues, Observer, Server};

/// Protocol name in the TLS handshake.
pub const ALPN: &[u8] = b"meridian-batch/1";

/// Version of the protocol that this build speaks.
pub const VERSION: u32 = 1;
