//! Certificates: who a service is, and the TLS configurations that check it.
