//! Plans, inserts and verifies: each batch reaches the warehouse once.
