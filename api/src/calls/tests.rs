//! Calls about the configuration through the real gRPC server, on a real log and its copies: who may do what, and what becomes of it.

mod world;
mod ask;
mod permissions;
mod isolation;
mod lives;
mod audit;
mod limits;
