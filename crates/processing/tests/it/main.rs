//! What processing books, compared with a naive reading of the definitions that shares no code with it.

mod world;
mod oracle;
mod run;
mod generate;
mod bookings;
mod bites;
