//! Accepts hits, keeps them, processes them, ships them.
