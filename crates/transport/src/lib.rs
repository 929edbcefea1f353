//! The batch protocol between edge and hub over QUIC: hello, batches, acknowledgements.
