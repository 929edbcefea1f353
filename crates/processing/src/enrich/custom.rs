//! Custom dimensions and metrics: parameters of events and of their items that a property's rules give a slot.
//!
//! A value of a dimension is the parameter as text, at most 100 bytes, cut at a character; `true` and `false` for a flag, a number as JSON has it. What a
//! client says of the visitor comes as `user.NAME`, so it has a slot in the same way. What a metric adds up is a number, or a text that is a
//! plain decimal number, for many clients send nothing but text; it is bounded as money is.

use batch::{CUSTOM_SEPARATOR, CustomSums};
use hit::{CUSTOM_DIMENSIONS, CustomDimension, CustomMetric, CustomScope, HitView, ParamValue, ParamView};

use crate::enrich::money;

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

/// What the hit adds to each metric, millionths.
pub fn metrics(hit: &HitView<'_>, rules: &[CustomMetric]) -> CustomSums {
    let mut sums = CustomSums::default();
    for rule in rules {
        let param = hit.params.iter().find(|param| param.key == rule.parameter);
        let amount = match param.and_then(|param| param.value) {
            Some(ParamValue::Number(number)) => Some(number),
            Some(ParamValue::Text(text)) => plain_decimal(text),
            Some(ParamValue::Flag(_)) | None => None,
        };
        let place = usize::from(rule.slot).checked_sub(1).and_then(|at| sums.get_mut(at));
        if let (Some(sum), Some(micros)) = (place, amount.and_then(money::micros)) {
            *sum = micros;
        }
    }
    sums
}

/// `12`, `0.5`, `.5`; no sign, exponent, name or separator of thousands.
fn plain_decimal(text: &str) -> Option<f64> {
    let text = text.trim();
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    text.parse().ok().filter(|_| is_plain)
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

    #[test]
    fn metrics_are_numbers_and_texts_of_plain_decimals() {
        use ParamValue::{Flag, Number, Text};
        let rule = |slot, parameter: &str| CustomMetric { slot, parameter: parameter.to_owned() };
        let rules = [rule(5, "litres"), rule(2, "seats")];
        for (value, micros) in [
            (Number(12.0), 12_000_000),
            (Number(0.000_000_4), 0),
            (Number(0.1), 100_000),
            (Number(1e10), 10_000_000_000_000_000),
            (Number(1.1e10), 0),
            (Number(-1.0), 0),
            (Number(f64::NAN), 0),
            (Number(f64::INFINITY), 0),
            (Text("12"), 12_000_000),
            (Text(" 12.25 "), 12_250_000),
            (Text(".5"), 500_000),
            (Text("10000000001"), 0),
            (Text("-1"), 0),
            (Text("+1"), 0),
            (Text("1e3"), 0),
            (Text("1,5"), 0),
            (Text("1.000.5"), 0),
            (Text("."), 0),
            (Text("inf"), 0),
            (Text("NaN"), 0),
            (Text(""), 0),
            (Flag(true), 0),
        ] {
            let params = vec![
                ParamView { key: "litres", value: Some(value) },
                ParamView { key: "other", value: Some(Number(7.0)) },
            ];
            let hit = HitView { params, ..HitView::default() };
            assert_eq!(metrics(&hit, &rules), [0, 0, 0, 0, micros], "{value:?}");
        }
        let both = vec![
            ParamView { key: "seats", value: Some(Number(3.0)) },
            ParamView { key: "litres", value: Some(Number(0.5)) },
            ParamView { key: "litres", value: Some(Number(9.0)) },
        ];
        let hit = HitView { params: both, ..HitView::default() };
        assert_eq!(metrics(&hit, &rules), [0, 3_000_000, 0, 0, 500_000], "the first of one name");
        assert_eq!(metrics(&hit, &[]), [0; 5]);
    }
}
