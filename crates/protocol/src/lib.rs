//! What clients send: the bytes of a request in, checked hits out, and what the client expects to be answered.
//!
//! A module per protocol; none of them looks at properties, clocks, addresses or disks. Invariant: a hit that comes out of here
//! is within the limits of `hit::limits`, whatever came in.

pub mod json;
pub mod refusal;
pub mod fields;
pub mod parsed;
mod fit;
mod query;
pub mod hints;
mod items;
pub mod sent;
pub mod own;
pub mod pixel;
mod google;
pub mod ga4;
pub mod measurement;
pub mod universal;
pub mod plausible;
pub mod umami;
pub mod matomo;
pub mod segment;
pub mod snowplow;
pub mod endpoint;
pub mod scripts;

pub use endpoint::{Endpoint, Protocol};
pub use fields::Place;
pub use hints::Hints;
pub use own::CollectRequest;
pub use parsed::{Consent, HitTime, ParsedHit};
pub use refusal::{Code, Refusal};
pub use sent::{Dropped, Entry, Outcome, Reply, Request, Sent};
