//! Settings of QUIC connections, and their form for quinn.
//!
//! In: the `[transport]` tables of edge and hub. Out: quinn's transport parameters and a socket with large buffers.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use quinn::{IdleTimeout, VarInt};
use serde::{Deserialize, Serialize};
use socket2::SockRef;

use crate::error::TransportError;

/// Streams an edge may have open at once: two lanes, and two that are just ending.
const STREAMS: u32 = 4;

/// Settings of a connection; edges and hubs have the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TransportConfig {
    /// How often an idle connection says that it lives, milliseconds; at most half of `idle_timeout_ms`.
    pub keep_alive_ms: u64,
    /// How long a silent peer is believed to live, milliseconds; then the connection is lost and the edge dials
    /// again. A hub that was killed and started again says so itself, and earlier.
    pub idle_timeout_ms: u64,
    /// How long a handshake, a hello and its answer may take, milliseconds; then the attempt has failed.
    pub handshake_timeout_ms: u64,
    /// Bytes that may arrive on one stream before they are read; beyond it the sender waits. Bandwidth × round trip
    /// of one lane.
    pub stream_window_bytes: u32,
    /// Bytes a sender keeps until they are confirmed by QUIC; beyond it sending waits.
    pub send_window_bytes: u64,
    /// Size asked for the socket's buffers, bytes; the kernel gives at most `net.core.rmem_max` and `wmem_max`.
    pub socket_buffer_bytes: usize,
    /// Let kernel and network card cut packets (UDP segmentation offload). Switch off for interfaces that lose them.
    pub segmentation_offload: bool,
}

impl Default for TransportConfig {
    fn default() -> Self {
        Self {
            keep_alive_ms: 2_000,
            idle_timeout_ms: 6_000,
            handshake_timeout_ms: 5_000,
            stream_window_bytes: 4 * 1024 * 1024,
            send_window_bytes: 16 * 1024 * 1024,
            socket_buffer_bytes: 4 * 1024 * 1024,
            segmentation_offload: true,
        }
    }
}

impl TransportConfig {
    /// Checks the values; the sentence names the field.
    ///
    /// # Errors
    /// When a value is impossible.
    pub fn validate(&self) -> Result<(), String> {
        if self.keep_alive_ms == 0 || self.keep_alive_ms > self.idle_timeout_ms / 2 {
            return Err(format!(
                "keep_alive_ms is {}, which is not between 1 and half of idle_timeout_ms = {}; use a third of it",
                self.keep_alive_ms, self.idle_timeout_ms
            ));
        }
        if self.handshake_timeout_ms == 0 {
            return Err("handshake_timeout_ms is 0, so no connection could be made; use 5000".into());
        }
        if self.stream_window_bytes < 65_536 || self.stream_window_bytes > 1 << 28 {
            return Err(format!(
                "stream_window_bytes is {}, which is not between 65536 and 268435456; use 4194304",
                self.stream_window_bytes
            ));
        }
        if self.send_window_bytes < 65_536 {
            return Err(format!(
                "send_window_bytes is {}, which is less than 65536; use 16777216",
                self.send_window_bytes
            ));
        }
        if self.idle_timeout_ms >= 1 << 40 {
            return Err(format!(
                "idle_timeout_ms is {}, longer than 34 years; use 6000",
                self.idle_timeout_ms
            ));
        }
        Ok(())
    }

    /// How long handshakes may take.
    pub(crate) fn handshake_timeout(&self) -> Duration {
        Duration::from_millis(self.handshake_timeout_ms)
    }

    /// The same for quinn.
    pub(crate) fn quinn(&self) -> Result<Arc<quinn::TransportConfig>, TransportError> {
        self.validate().map_err(TransportError::Config)?;
        let idle = VarInt::from_u64(self.idle_timeout_ms)
            .map_err(|_| TransportError::Config("idle_timeout_ms is too long".into()))?;
        let mut config = quinn::TransportConfig::default();
        config
            .keep_alive_interval(Some(Duration::from_millis(self.keep_alive_ms)))
            .max_idle_timeout(Some(IdleTimeout::from(idle)))
            .stream_receive_window(VarInt::from_u32(self.stream_window_bytes))
            // Room for both lanes, so that a raw lane that is not read leaves the rollup lane its own.
            .receive_window(VarInt::from_u32(self.stream_window_bytes.saturating_mul(STREAMS)))
            .send_window(self.send_window_bytes)
            .max_concurrent_bidi_streams(VarInt::from_u32(STREAMS))
            .max_concurrent_uni_streams(VarInt::from_u32(0))
            .datagram_receive_buffer_size(None)
            .enable_segmentation_offload(self.segmentation_offload);
        Ok(Arc::new(config))
    }

    /// A socket on `address` with buffers as large as the kernel gives.
    pub(crate) fn socket(&self, address: SocketAddr) -> Result<UdpSocket, TransportError> {
        let failed = |source| TransportError::Socket { address, source };
        let socket = UdpSocket::bind(address).map_err(failed)?;
        let buffers = SockRef::from(&socket);
        buffers.set_recv_buffer_size(self.socket_buffer_bytes).map_err(failed)?;
        buffers.set_send_buffer_size(self.socket_buffer_bytes).map_err(failed)?;
        Ok(socket)
    }
}

/// Settings of a hub's port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// UDP address to listen on; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Connections at once; a further one is refused, and the edge tries another hub or again.
    pub max_connections: usize,
    /// Batches of one stream that are not acknowledged yet; at the limit the stream is not read.
    pub lane_batches: usize,
    /// Bytes of these batches; at the limit the stream is not read.
    pub lane_bytes: u32,
    /// Bytes of unacknowledged batches of one lane over all connections; at the limit no stream of the lane is read.
    pub total_lane_bytes: u32,
    /// How long a batch that has begun may bring no byte, milliseconds; then the lane is given up.
    pub stall_timeout_ms: u64,
    /// Settings of the connections.
    pub quic: TransportConfig,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 4433)),
            max_connections: 256,
            lane_batches: 1024,
            lane_bytes: 64 * 1024 * 1024,
            total_lane_bytes: 256 * 1024 * 1024,
            stall_timeout_ms: 15_000,
            quic: TransportConfig::default(),
        }
    }
}

impl ServerConfig {
    /// Checks the values; the sentence names the field.
    ///
    /// # Errors
    /// When a value is impossible.
    pub fn validate(&self) -> Result<(), String> {
        let numbers = [
            ("max_connections", self.max_connections as u64),
            ("lane_batches", self.lane_batches as u64),
            ("lane_bytes", self.lane_bytes.into()),
            ("stall_timeout_ms", self.stall_timeout_ms),
        ];
        if let Some((field, _)) = numbers.iter().find(|(_, value)| *value == 0) {
            return Err(format!("{field} is 0, so no batch could be received; use at least 1"));
        }
        if self.total_lane_bytes < self.lane_bytes {
            return Err(format!(
                "total_lane_bytes is {}, less than lane_bytes = {}; make it a multiple of it",
                self.total_lane_bytes, self.lane_bytes
            ));
        }
        self.quic.validate().map_err(|message| format!("quic.{message}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_values_are_named() {
        let good = ServerConfig::default();
        assert_eq!(good.validate(), Ok(()));
        let quic = |quic| ServerConfig { quic, ..ServerConfig::default() };
        for (config, expected) in [
            (ServerConfig { lane_bytes: 0, ..good.clone() }, "lane_bytes is 0"),
            (ServerConfig { total_lane_bytes: 1, ..good.clone() }, "total_lane_bytes is 1"),
            (
                quic(TransportConfig { keep_alive_ms: 9_000, ..good.quic.clone() }),
                "quic.keep_alive_ms is 9000",
            ),
            (
                quic(TransportConfig { stream_window_bytes: 1, ..good.quic.clone() }),
                "stream_window_bytes is 1",
            ),
        ] {
            let message = config.validate().unwrap_err();
            assert!(message.contains(expected), "{message}");
        }
    }
}
