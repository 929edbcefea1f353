//! What a hit may be at most. Collect refuses beyond these, with the name of the field.

/// A request's body, bytes, after gzip.
pub const REQUEST_BYTES: usize = 64 * 1024;
/// Hits in a request.
pub const HITS_PER_REQUEST: usize = 100;
/// Characters of an event name.
pub const EVENT_CHARS: usize = 100;
/// Bytes of a URL and of a referrer.
pub const URL_BYTES: usize = 2048;
/// Bytes of a title.
pub const TITLE_BYTES: usize = 1000;
/// Bytes of a language tag.
pub const LANGUAGE_BYTES: usize = 35;
/// Bytes of a screen size.
pub const SCREEN_BYTES: usize = 11;
/// Bytes of a client id and of a session id.
pub const CLIENT_ID_BYTES: usize = 128;
/// Bytes of an idempotency id.
pub const HIT_ID_BYTES: usize = 64;
/// Parameters of a hit.
pub const PARAMS: usize = 50;
/// Bytes of a parameter's key.
pub const PARAM_KEY_BYTES: usize = 100;
/// Bytes of a parameter's text value.
pub const PARAM_VALUE_BYTES: usize = 1000;
/// Goods of a hit.
pub const ITEMS: usize = 200;
/// Bytes of each text of an item.
pub const ITEM_TEXT_BYTES: usize = 100;
/// Parameters of an item, beside its own fields; keys and values as those of a hit.
pub const ITEM_PARAMS: usize = 10;
/// Largest price of an item, units of its currency.
pub const ITEM_PRICE: f64 = 1e10;
/// Largest quantity of an item.
pub const ITEM_QUANTITY: f64 = 1e9;
/// Bytes of a user agent; longer ones are cut, for they are not the client's choice.
pub const USER_AGENT_BYTES: usize = 1024;
/// Bytes of each text of the client hints; longer ones are cut, for they are not the client's choice.
pub const HINT_TEXT_BYTES: usize = 100;
/// Age of a hit without API secret, milliseconds (72 h).
pub const AGE_MS: u64 = 259_200_000;
/// How far ahead of the edge's clock a timestamp may lie, milliseconds.
pub const AHEAD_MS: u64 = 60_000;
/// Engagement time of one hit, milliseconds (24 h: no session is longer).
pub const ENGAGEMENT_MS: u64 = 86_400_000;
/// How long an idempotency id is remembered, milliseconds of received time (24 h).
pub const ID_WINDOW_MS: u64 = 86_400_000;
