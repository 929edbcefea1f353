//! Who a service is, and the TLS configurations that check it.
//!
//! Every connection between services is mutual TLS under one CA. A service's [`Identity`] (role and id) is a DNS name in
//! its certificate's SAN; there is no other proof of who is talking. Out: configurations for rustls, quinn and tonic
//! from one [`TlsFiles`] table, and the peer's identity from its certificate. Ports for browsers make their own configuration
//! from [`PemFile`]s and [`provider`].
//!
//! Invariant: no configuration made here accepts a peer without a certificate of our CA.

pub mod name;
pub mod development;
pub mod pem;
pub mod tls;
pub mod peer;

pub use development::{DevelopmentError, ensure_development};
pub use name::{Identity, IdentityError, Role};
pub use peer::{peer_identity, quinn_peer_identity, tonic_peer_identity};
pub use pem::{PemError, PemFile};
pub use tls::{
    TlsError, TlsFiles, client_config, provider, quinn_client_config, quinn_server_config, server_config,
    tonic_client_config, tonic_server_config,
};
