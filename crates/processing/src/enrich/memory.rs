//! What a client remembers of its visitor: whether there was a visit before, and how the first one came.
//!
//! *New or returning*: what the hit says of its first visit, else the number of the session that the client counts (`session_number` of our
//! tracker, `ga_session_number` of Google's). *First source*: the parameter `first_source`. Clients send these with the visitor's consent,
//! for they need storage; without it both are not set here, and `recognise` looks for the visitor in the edge's own memory.

use hit::{HitView, ParamValue};

use crate::enrich::address::CAMPAIGN_BYTES;
use crate::handover::{NOT_SET, VisitorType};

const SESSION_NUMBERS: [&str; 2] = ["session_number", "ga_session_number"];
const FIRST_SOURCE: &str = "first_source";

/// Whether the visitor was there before.
pub fn visitor_type(hit: &HitView<'_>) -> VisitorType {
    match hit.first_visit {
        Some(true) => return VisitorType::New,
        Some(false) => return VisitorType::Returning,
        None => {}
    }
    let number = hit.params.iter().find(|param| SESSION_NUMBERS.contains(&param.key));
    match number.and_then(|param| param.value) {
        Some(ParamValue::Number(number)) if number > 1.0 => VisitorType::Returning,
        Some(ParamValue::Number(number)) if number >= 1.0 => VisitorType::New,
        _ => VisitorType::NotSet,
    }
}

/// Source of the visitor's first visit.
pub fn first_source<'a>(hit: &HitView<'a>) -> &'a str {
    match hit.params.iter().find(|param| param.key == FIRST_SOURCE).and_then(|param| param.value) {
        Some(ParamValue::Text(text)) if !text.is_empty() => &text[..text.floor_char_boundary(CAMPAIGN_BYTES)],
        _ => NOT_SET,
    }
}

#[cfg(test)]
mod tests {
    use hit::ParamView;

    use super::*;

    #[test]
    fn clients_say_it_in_one_of_three_ways_or_not() {
        use ParamValue::{Number, Text};
        use VisitorType::{New, NotSet, Returning};
        for (first_visit, key, value, expected) in [
            (Some(true), "session_number", Number(3.0), New),
            (Some(false), "", Number(1.0), Returning),
            (None, "session_number", Number(1.0), New),
            (None, "ga_session_number", Number(2.0), Returning),
            (None, "ga_session_number", Number(0.0), NotSet),
            (None, "session_number", Text("2"), NotSet),
            (None, "other", Number(2.0), NotSet),
        ] {
            let params = vec![ParamView { key, value: Some(value) }];
            let hit = HitView { first_visit, params, ..HitView::default() };
            assert_eq!(visitor_type(&hit), expected, "{first_visit:?} {key} {value:?}");
        }
    }

    #[test]
    fn first_source_is_the_clients_or_not_set() {
        let of = |params| first_source(&HitView { params, ..HitView::default() });
        let said = |value| ParamView { key: "first_source", value: Some(value) };
        assert_eq!(of(vec![said(ParamValue::Text("letter"))]), "letter");
        assert_eq!(of(vec![said(ParamValue::Text(""))]), "(not set)");
        assert_eq!(of(vec![said(ParamValue::Number(1.0))]), "(not set)");
        assert_eq!(of(Vec::new()), "(not set)");
    }
}
