//! What a hit is worth: revenue with its currency.
//!
//! *Revenue*: the number in the parameter `revenue` of any event, otherwise in `value` of a purchase: `purchase` as in Google Analytics 4, or
//! `Order Completed` as in Segment's specification. *Currency*: the parameter `currency`, otherwise the property's. Amounts that are negative, not finite or beyond 10^10 are none: sums
//! only grow, so a refund is an event and not a purchase taken back.

use hit::{HitView, ParamValue};

/// Events that say that something was bought; always key events.
pub const PURCHASES: [&str; 2] = ["purchase", "Order Completed"];
/// In place of a currency that is no ISO 4217 code.
pub const NO_CURRENCY: &str = "(not set)";
/// Units of a currency that one event may bring.
const MOST: f64 = 1e10;

/// Currency code and millionths of its unit, if the hit says that something was paid.
pub fn revenue(hit: &HitView<'_>, of_property: &str) -> Option<([u8; 3], u64)> {
    if hit.params.is_empty() {
        return None;
    }
    let amount = number(hit, "revenue")
        .or_else(|| if PURCHASES.contains(&hit.event) { number(hit, "value") } else { None })?;
    Some((currency(hit, of_property), micros(amount)?))
}

/// The currency of a hit's money, all zeros where what was sent is no code.
pub fn currency(hit: &HitView<'_>, of_property: &str) -> [u8; 3] {
    let sent = hit.params.iter().find(|param| param.key == "currency").and_then(|param| param.value);
    let currency = match sent {
        Some(ParamValue::Text(text)) if !text.is_empty() => code(text),
        _ => code(of_property),
    };
    currency.unwrap_or_default()
}

/// The text of a code that [`currency`] gave.
pub fn currency_text(code: &[u8; 3]) -> &str {
    std::str::from_utf8(code).ok().filter(|text| !text.starts_with('\0')).unwrap_or(NO_CURRENCY)
}

/// Three letters, upper case.
fn code(text: &str) -> Option<[u8; 3]> {
    let letters: [u8; 3] = text.trim().as_bytes().try_into().ok()?;
    letters.iter().all(u8::is_ascii_alphabetic).then(|| letters.map(|letter| letter.to_ascii_uppercase()))
}

fn number(hit: &HitView<'_>, name: &str) -> Option<f64> {
    match hit.params.iter().find(|param| param.key == name)?.value? {
        ParamValue::Number(number) => Some(number),
        ParamValue::Text(text) => text.trim().parse().ok(),
        ParamValue::Flag(_) => None,
    }
}

/// Millionths of an amount, if it is one: they are whole numbers far below 2^64; none if it is negative, not finite or beyond 10^10.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub fn micros(amount: f64) -> Option<u64> {
    (0.0..=MOST).contains(&amount).then(|| (amount * 1e6).round() as u64)
}

#[cfg(test)]
mod tests {
    use hit::ParamView;

    use super::*;

    fn hit<'a>(event: &'a str, params: &[(&'a str, ParamValue<'a>)]) -> HitView<'a> {
        let params = params.iter().map(|(key, value)| ParamView { key, value: Some(*value) }).collect();
        HitView { event, params, ..HitView::default() }
    }

    #[test]
    fn money_is_found_where_clients_put_it() {
        use ParamValue::{Flag, Number, Text};
        for (event, params, expected) in [
            (
                "purchase",
                &[("value", Number(49.5)), ("currency", Text("eur"))][..],
                Some(("EUR", 49_500_000)),
            ),
            ("purchase", &[("value", Number(0.1))], Some(("USD", 100_000))),
            ("purchase", &[("revenue", Number(1.0)), ("value", Number(2.0))], Some(("USD", 1_000_000))),
            ("Order Completed", &[("value", Number(19.99))], Some(("USD", 19_990_000))),
            ("goal", &[("revenue", Text("9"))], Some(("USD", 9_000_000))),
            (
                "purchase",
                &[("value", Number(5.0)), ("currency", Text("coins"))],
                Some(("(not set)", 5_000_000)),
            ),
            ("add_to_cart", &[("value", Number(49.5))], None),
            ("purchase", &[("currency", Text("EUR"))], None),
            ("purchase", &[("value", Number(-1.0))], None),
            ("purchase", &[("value", Number(f64::NAN))], None),
            ("purchase", &[("value", Number(2e10))], None),
            ("purchase", &[("value", Flag(true))], None),
            ("purchase", &[], None),
        ] {
            let found = revenue(&hit(event, params), "USD");
            let found = found.as_ref().map(|(code, micros)| (currency_text(code), *micros));
            assert_eq!(found, expected, "{event} {params:?}");
        }
    }
}
