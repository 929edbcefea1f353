//! What Google's protocols have in common: visitor, session, campaign and purchase under their short names.

use std::borrow::Cow;

use crate::fit::Campaign;
use crate::parsed::{Consent, ParsedHit};
use crate::query::Query;

/// Fields that Universal Analytics and the web protocol of Google Analytics 4 name alike.
pub(crate) fn shared<'a>(query: &Query<'a>, hit: &mut ParsedHit<'a>) {
    if !query.get("dl").is_some_and(|url| hit.fit_url(url))
        && let (Some(host), path) = (query.get("dh"), query.first(&["dp", "p"]))
    {
        hit.fit_url(Cow::Owned(format!("https://{host}{}", absolute(path.as_deref().unwrap_or("/")))));
    }
    if let Some(referrer) = query.get("dr") {
        hit.fit_referrer(referrer);
    }
    if let Some(title) = query.get("dt") {
        hit.fit_title(title);
    }
    if let Some(language) = query.get("ul") {
        hit.fit_language(&language);
    }
    if let Some(screen) = query.get("sr") {
        hit.fit_screen(screen);
    }
    hit.consent = consent(query);
    // A visitor is the device; the user's id counts where there is no device, as on a server.
    if may_store(query)
        && let Some(id) = query.first(&["cid", "uid"])
    {
        hit.fit_client_id(id);
    }
    hit.fit_campaign(&Campaign {
        source: query.get("cs").unwrap_or_default(),
        medium: query.get("cm").unwrap_or_default(),
        name: query.get("cn").unwrap_or_default(),
        term: query.first(&["ck", "ct"]).unwrap_or_default(),
        content: query.get("cc").unwrap_or_default(),
    });
}

/// Whether Google's consent mode lets analytics store something: `gcs` is `G1`, a digit for ads and one for analytics, 0 for denied, 1
/// for granted. Where it is denied, the ids of visitor and session are made up for the page.
pub(crate) fn may_store(query: &Query<'_>) -> bool {
    consent(query) != Some(Consent::Denied)
}

/// What Google's consent mode says of analytics; nothing where the site has none, or has not asked.
fn consent(query: &Query<'_>) -> Option<Consent> {
    match query.get("gcs")?.as_bytes() {
        [b'G', b'1', _, analytics @ (b'0' | b'1'), ..] => Some(Consent::of(*analytics == b'1')),
        _ => None,
    }
}

/// `/path` for `path`.
fn absolute(path: &str) -> Cow<'_, str> {
    if path.starts_with('/') { Cow::Borrowed(path) } else { Cow::Owned(format!("/{path}")) }
}
