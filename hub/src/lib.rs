//! Receives batches over QUIC, stores them as segments, announces them.
