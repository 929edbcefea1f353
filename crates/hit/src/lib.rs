//! Raw hits: their ids, the limits they keep, the rules they name, and the WAL block that holds them.
//!
//! In: what collect accepted. Out: the same bytes on disk, on the raw lane and in the archive. Nothing here does
//! I/O or reads a clock.

pub mod block;
pub mod ids;
pub mod limits;
pub mod plain_url;
pub mod refusal;
pub mod rules;
pub mod view;

pub use block::{Block, BlockError, BlockHeader};
pub use ids::{EdgeId, Epoch, IdError, slot_of};
pub use plain_url::PlainUrl;
pub use proto::hit::{
    BlockBody, ClientHints, Forget, ImportMark, Item, Parameter, RawHit, Refusals, parameter,
};
pub use refusal::{OTHER_REASON, REFUSAL_REASONS, known_reason};
pub use rules::{
    AddressPolicy, CUSTOM_DIMENSIONS, CUSTOM_METRICS, ChannelRule, ConsentPolicy, CustomDimension,
    CustomMetric, CustomScope, EventRules, PageGroup, PrivacyRules, Rules, RulesSource, SessionRules,
    TrafficRules, TrailingSlash, UrlRules,
};
pub use view::{
    BlockView, ForgetView, HintsView, HitView, ItemView, MarkView, ParamValue, ParamView, RefusalsView,
};

/// The event name of a page view; every other name is a custom event.
pub const PAGE_VIEW: &str = "page_view";
