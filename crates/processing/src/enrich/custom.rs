//! Custom dimensions: parameters of events that a property's rules give a slot.
//!
//! A value is the parameter as text, at most 100 bytes, cut at a character; `true` and `false` for a flag, a number as JSON has it. What a
//! client says of the visitor comes as `user.NAME`, so it has a slot in the same way.

use batch::CUSTOM_SEPARATOR;
use hit::{CUSTOM_DIMENSIONS, CustomDimension, HitView, ParamValue};

/// Bytes of a value.
const VALUE_BYTES: usize = 100;
/// The longest that all of them can be.
const ALL_BYTES: usize = (VALUE_BYTES + 1) * CUSTOM_DIMENSIONS as usize;

/// The values by slot, a separator between them and none behind the last that is not empty.
pub fn values(hit: &HitView<'_>, rules: &[CustomDimension]) -> String {
    let mut all = String::new();
    if rules.is_empty() || hit.params.is_empty() {
        return all;
    }
    all.reserve(ALL_BYTES);
    for slot in 1..=CUSTOM_DIMENSIONS {
        if slot > 1 {
            all.push(CUSTOM_SEPARATOR);
        }
        let named = rules.iter().find(|rule| rule.slot == slot);
        let param = named.and_then(|rule| hit.params.iter().find(|param| param.key == rule.parameter));
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
    use hit::ParamView;

    use super::*;

    fn found(params: &[(&str, ParamValue<'_>)], rules: &[(u8, &str)]) -> String {
        let rules: Vec<_> = rules
            .iter()
            .map(|(slot, parameter)| CustomDimension { slot: *slot, parameter: (*parameter).to_owned() })
            .collect();
        let params = params.iter().map(|(key, value)| ParamView { key, value: Some(*value) }).collect();
        values(&HitView { params, ..HitView::default() }, &rules)
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
