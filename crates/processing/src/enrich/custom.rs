//! Custom dimensions: parameters of events and of their items that a property's rules give a slot.
//!
//! A value is the parameter as text, at most 100 bytes, cut at a character; `true` and `false` for a flag, a number as JSON has it. What a
//! client says of the visitor comes as `user.NAME`, so it has a slot in the same way.

use batch::CUSTOM_SEPARATOR;
use hit::{CUSTOM_DIMENSIONS, CustomDimension, CustomScope, ParamValue, ParamView};

/// Bytes of a value.
const VALUE_BYTES: usize = 100;
/// The longest that all of them can be.
const ALL_BYTES: usize = (VALUE_BYTES + 1) * CUSTOM_DIMENSIONS as usize;

/// The values of an event, or of one of its items, by slot; a separator between them and none behind the last that is not empty.
pub fn values(event: &[ParamView<'_>], item: &[ParamView<'_>], rules: &[CustomDimension]) -> String {
    let mut all = String::new();
    if rules.is_empty() || event.is_empty() && item.is_empty() {
        return all;
    }
    all.reserve(ALL_BYTES);
    for slot in 1..=CUSTOM_DIMENSIONS {
        if slot > 1 {
            all.push(CUSTOM_SEPARATOR);
        }
        let param = rules.iter().find(|rule| rule.slot == slot).and_then(|rule| {
            let params = if rule.scope == CustomScope::Item { item } else { event };
            params.iter().find(|param| param.key == rule.parameter)
        });
        if let Some(value) = param.and_then(|param| param.value) {
            push(&mut all, value);
        }
    }
    all.truncate(all.trim_end_matches(CUSTOM_SEPARATOR).len());
    all
}

fn push(all: &mut String, value: ParamValue<'_>) {
    match value {
        ParamValue::Text(text) => {
            let cut = &text[..text.floor_char_boundary(VALUE_BYTES)];
            all.extend(cut.chars().map(|c| if c == CUSTOM_SEPARATOR { ' ' } else { c }));
        }
        ParamValue::Number(number) => all.push_str(&number.to_string()),
        ParamValue::Flag(flag) => all.push_str(if flag { "true" } else { "false" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(params: &[(&str, ParamValue<'_>)], rules: &[(u8, &str)]) -> String {
        let rules: Vec<_> =
            rules.iter().map(|(slot, parameter)| rule(*slot, parameter, CustomScope::Event)).collect();
        values(&views(params), &[], &rules)
    }

    fn rule(slot: u8, parameter: &str, scope: CustomScope) -> CustomDimension {
        CustomDimension { slot, parameter: parameter.to_owned(), scope }
    }

    fn views<'a>(params: &[(&'a str, ParamValue<'a>)]) -> Vec<ParamView<'a>> {
        params.iter().map(|(key, value)| ParamView { key, value: Some(*value) }).collect()
    }

    #[test]
    fn an_item_has_values_of_its_event_and_its_own() {
        let event = views(&[("plan", ParamValue::Text("pro")), ("coupon", ParamValue::Text("of the event"))]);
        let item =
            views(&[("coupon", ParamValue::Text("SUMMER")), ("plan", ParamValue::Text("of the item"))]);
        let rules = [rule(1, "plan", CustomScope::Event), rule(2, "coupon", CustomScope::Item)];
        assert_eq!(values(&event, &item, &rules), "pro\u{1f}SUMMER");
        assert_eq!(values(&event, &[], &rules), "pro");
        assert_eq!(values(&[], &item, &rules), "\u{1f}SUMMER");
    }

    #[test]
    fn values_stand_at_their_slots() {
        use ParamValue::{Flag, Number, Text};
        let sent = [
            ("plan", Text("pro")),
            ("seats", Number(3.0)),
            ("trial", Flag(false)),
            ("odd", Text("a\u{1f}b")),
        ];
        for (rules, expected) in [
            (&[(1, "plan")][..], "pro"),
            (&[(3, "seats"), (1, "plan")], "pro\u{1f}\u{1f}3"),
            (&[(1, "nothing"), (2, "trial")], "\u{1f}false"),
            (&[(5, "odd")], "\u{1f}\u{1f}\u{1f}\u{1f}a b"),
            (&[(1, "nothing")], ""),
            (&[], ""),
        ] {
            assert_eq!(found(&sent, rules), expected, "{rules:?}");
        }
        let long = "é".repeat(60);
        assert_eq!(found(&[("plan", Text(&long))], &[(1, "plan")]), "é".repeat(50));
    }
}
