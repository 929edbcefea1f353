//! What kind of action a Matomo request is, by the parameters it has, and the event that it becomes.

use std::borrow::Cow;

use hit::PAGE_VIEW;

use crate::json::Json;
use crate::parsed::ParsedHit;
use crate::query::Query;

/// Names the event and puts its parameters.
pub(super) fn put<'a>(hit: &mut ParsedHit<'a>, query: &Query<'a>) {
    let get = |name: &str| query.get(name).unwrap_or_default();
    if query.get("e_c").is_some() {
        hit.fit_event(query.first(&["e_a", "e_c"]).unwrap_or_default());
        hit.fit_text("event_category", get("e_c"));
        hit.fit_text("event_label", get("e_n"));
        hit.fit_number("value", get("e_v"));
    } else if let Some(goal) = query.get("idgoal") {
        conversion(hit, query, &goal);
    } else if let Some(url) = query.get("link") {
        hit.fit_event("click".into());
        hit.fit_text("link_url", url);
    } else if let Some(url) = query.get("download") {
        hit.fit_event("file_download".into());
        hit.fit_text("link_url", url);
    } else if let Some(words) = query.get("search") {
        hit.fit_event("view_search_results".into());
        hit.fit_text("search_term", words);
        hit.fit_text("search_category", get("search_cat"));
        hit.fit_number("search_results", get("search_count"));
    } else if query.flag("ping") {
        // Says that the page is still open.
        hit.fit_event("user_engagement".into());
    } else if query.get("c_n").is_some() {
        let event = if query.get("c_i").is_some() { "content_interaction" } else { "content_impression" };
        hit.fit_event(event.into());
        for (name, key) in [("content_name", "c_n"), ("content_piece", "c_p"), ("content_target", "c_t")] {
            hit.fit_text(name, get(key));
        }
    } else {
        hit.fit_event(PAGE_VIEW.into());
    }
    if let Some(title) = query.get("action_name") {
        hit.fit_title(title);
    }
    for (name, key) in [
        ("pf_net", "pf_net"),
        ("pf_srv", "pf_srv"),
        ("pf_tfr", "pf_tfr"),
        ("pf_dm1", "pf_dm1"),
        ("pf_dm2", "pf_dm2"),
    ] {
        hit.fit_number(name, get(key));
    }
    for (key, value) in query.iter() {
        let index = key.strip_prefix("dimension");
        if index.is_some_and(|index| !index.is_empty() && index.bytes().all(|b| b.is_ascii_digit())) {
            hit.fit_text(key, Cow::Borrowed(value));
        }
    }
    for key in ["cvar", "_cvar"] {
        custom_variables(hit, &get(key));
    }
}

/// Goal 0 is the shop: an order, or a cart as it stands.
fn conversion<'a>(hit: &mut ParsedHit<'a>, query: &Query<'a>, goal: &str) {
    let get = |name: &str| query.get(name).unwrap_or_default();
    if goal != "0" {
        hit.fit_event("goal".into());
        hit.fit_number("revenue", get("revenue"));
        hit.fit_text("goal_id", Cow::Borrowed(goal));
        return;
    }
    let order = query.get("ec_id");
    hit.fit_event(if order.is_some() { "purchase" } else { "cart_update" }.into());
    hit.fit_number("value", get("revenue"));
    hit.fit_text("transaction_id", order.unwrap_or_default());
    hit.fit_item_rows(&get("ec_items"));
    for (name, key) in [("subtotal", "ec_st"), ("tax", "ec_tx"), ("shipping", "ec_sh"), ("discount", "ec_dt")]
    {
        hit.fit_number(name, get(key));
    }
}

/// `{"1":["name","value"],…}`
fn custom_variables(hit: &mut ParsedHit<'_>, json: &str) {
    let Ok(Json::Map(variables)) = serde_json::from_str(json) else { return };
    for (_, pair) in variables {
        if let Json::List(pair) = pair
            && let [name, value] = pair.as_slice()
            && let (Some(name), Some(value)) = (name.as_text(), value.as_text())
        {
            hit.fit_text(&name, value);
        }
    }
}
