//! Stateless resets (RFC 9000, 10.3): how a hub that was killed and started again tells edges that their connections are
//! gone.
//!
//! In: the hub's private key, the one secret that outlives the process. Out: a configuration whose reset tokens are the
//! same after a restart, so that the answer to the first packet of an old connection ends it, long before the idle
//! time-out. A hub has a key of its own, so no other hub can make its tokens. With a new key edges wait for the idle
//! time-out once.

use std::sync::Arc;
use std::time::Duration;

use identity::TlsFiles;
use quinn::{ConnectionId, ConnectionIdGenerator, EndpointConfig};
use ring::hmac;

use crate::error::TransportError;

/// What the private key is used for here, so that no other use of it gives the same bytes.
const PURPOSE: &[u8] = b"meridian quic stateless reset 1";

/// Bytes of a connection id, all of them random: none comes twice under one reset key.
const ID_BYTES: usize = 8;

/// The endpoint of the hub that owns the private key.
pub(super) fn endpoint_config(tls: &TlsFiles) -> Result<EndpointConfig, TransportError> {
    let secret =
        std::fs::read(&tls.key).map_err(|source| TransportError::Key { path: tls.key.clone(), source })?;
    let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), PURPOSE);
    let mut config = EndpointConfig::new(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref())));
    config.cid_generator(|| Box::new(RandomIds));
    Ok(config)
}

/// Connection ids that any process may have made. quinn's own carry a tag of the process, and an id of the process
/// before would be dropped without a reset.
struct RandomIds;

impl ConnectionIdGenerator for RandomIds {
    fn generate_cid(&mut self) -> ConnectionId {
        ConnectionId::new(&rand::random::<[u8; ID_BYTES]>())
    }

    fn cid_len(&self) -> usize {
        ID_BYTES
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}
