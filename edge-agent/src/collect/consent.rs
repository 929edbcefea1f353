//! What the visitor's consent allows: whether a hit is taken, and whether it may say whose it is.
//!
//! In: a parsed hit and the property's rule. Out: nothing, the hit as it was sent, or the hit without what tells a visitor from others for
//! longer than a day. It is decided here and nowhere later: what is taken away reaches no file. Invariant: silence is no consent.

use std::borrow::Cow;

use hit::ConsentPolicy;
use protocol::{Consent, Dropped, ParsedHit};

/// Parameters by which clients tell how often, since when and whence their visitor came, and who it is: what the fields of the same meaning
/// say, under names that other products and our tracker give it.
const NAMING_PARAMETERS: [&str; 8] = [
    "session_number",
    "first_visit_at_ms",
    "first_source",
    "ga_session_id",
    "ga_session_number",
    "user_id",
    "user.id",
    "user.user_id",
];

/// What of a hit may be used under this rule.
pub(super) fn usable<'h, 'a>(
    hit: &'h ParsedHit<'a>,
    policy: ConsentPolicy,
) -> Result<Cow<'h, ParsedHit<'a>>, Dropped> {
    let has_consent = hit.consent == Some(Consent::Granted);
    match policy {
        ConsentPolicy::Required if !has_consent => Err(Dropped::NoConsent),
        ConsentPolicy::ForClientId if !has_consent => Ok(Cow::Owned(nameless(hit.clone()))),
        ConsentPolicy::NotNeeded | ConsentPolicy::ForClientId | ConsentPolicy::Required => {
            Ok(Cow::Borrowed(hit))
        }
    }
}

fn nameless(mut hit: ParsedHit<'_>) -> ParsedHit<'_> {
    hit.client_id = Cow::Borrowed("");
    hit.session_id = Cow::Borrowed("");
    hit.first_visit = None;
    hit.params.retain(|param| !NAMING_PARAMETERS.contains(&param.key.as_str()));
    hit
}

#[cfg(test)]
mod tests;
