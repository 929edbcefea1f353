//! Values that a hit measured: how fast the page was, and how far it was read.
//!
//! *Web vitals* are parameters of the event `web_vitals`: `lcp_ms inp_ms fcp_ms ttfb_ms` in milliseconds and `cls`, which is kept in
//! thousandths; also under the names without unit that Umami sends. *Scroll depth* is the parameter `scroll_depth` of any event, percent:
//! the deepest that a page view was read to. Values beyond ten minutes, a shift of 60 or 100 percent are none.

use hit::{HitView, ParamValue};

use crate::handover::MeasuredValue;

const EVENT: &str = "web_vitals";
const TEN_MINUTES_MS: f64 = 600_000.0;

/// A parameter: by what names it comes, the largest that is believed, what it is multiplied by, and its name in rows.
struct Measure {
    params: [&'static str; 2],
    most: f64,
    scale: f64,
    /// Whether values are told by their bucket: there are few percents, and 100 should stay 100.
    is_rounded: bool,
    name: &'static str,
}

const VITALS: [Measure; 5] = [
    milliseconds(["lcp_ms", "lcp"], "lcp_ms"),
    milliseconds(["inp_ms", "inp"], "inp_ms"),
    milliseconds(["fcp_ms", "fcp"], "fcp_ms"),
    milliseconds(["ttfb_ms", "ttfb"], "ttfb_ms"),
    Measure { params: ["cls", "cls"], most: 60.0, scale: 1000.0, is_rounded: true, name: "cls_thousandths" },
];

const SCROLL: Measure = Measure {
    params: ["scroll_depth", "scroll_depth"],
    most: 100.0,
    scale: 1.0,
    is_rounded: false,
    name: "scroll_percent",
};

const fn milliseconds(params: [&'static str; 2], name: &'static str) -> Measure {
    Measure { params, most: TEN_MINUTES_MS, scale: 1.0, is_rounded: true, name }
}

/// What the hit measured; empty for nearly every hit.
pub fn values(hit: &HitView<'_>) -> Vec<MeasuredValue> {
    if hit.params.is_empty() {
        return Vec::new();
    }
    let vitals = if hit.event == EVENT { &VITALS[..] } else { &[] };
    vitals.iter().chain([&SCROLL]).filter_map(|measure| measure.of(hit)).collect()
}

impl Measure {
    fn of(&self, hit: &HitView<'_>) -> Option<MeasuredValue> {
        let sent = hit.params.iter().find(|param| self.params.contains(&param.key))?.value?;
        let number = match sent {
            ParamValue::Number(number) => number,
            ParamValue::Text(text) => text.trim().parse().ok()?,
            ParamValue::Flag(_) => return None,
        };
        if !(0.0..=self.most).contains(&number) {
            return None;
        }
        let whole = whole(number * self.scale);
        let value = if self.is_rounded { batch::values::rounded(whole) } else { whole };
        Some(MeasuredValue { name: self.name, value })
    }
}

/// Of a number that is bounded by what is believed.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn whole(number: f64) -> u32 {
    number.round() as u32
}

#[cfg(test)]
mod tests {
    use hit::ParamView;

    use super::*;

    fn measured(event: &str, params: &[(&str, ParamValue<'_>)]) -> Vec<(&'static str, u32)> {
        let params = params.iter().map(|(key, value)| ParamView { key, value: Some(*value) }).collect();
        let found = values(&HitView { event, params, ..HitView::default() });
        found.into_iter().map(|measured| (measured.name, measured.value)).collect()
    }

    #[test]
    fn vitals_and_depths_are_found_where_clients_put_them() {
        use ParamValue::{Number, Text};
        assert_eq!(
            measured("web_vitals", &[("lcp_ms", Number(20.4)), ("cls", Number(0.01)), ("inp", Text("8"))]),
            [("lcp_ms", 20), ("inp_ms", 8), ("cls_thousandths", 10)]
        );
        assert_eq!(measured("engagement", &[("scroll_depth", Number(30.0))]), [("scroll_percent", 30)]);
        assert_eq!(measured("engagement", &[("scroll_depth", Number(100.0))]), [("scroll_percent", 100)]);
        assert_eq!(measured("page_view", &[("lcp_ms", Number(20.0))]), []);
        for impossible in [-1.0, 600_001.0, f64::NAN, f64::INFINITY] {
            assert_eq!(measured("web_vitals", &[("lcp_ms", Number(impossible))]), [], "{impossible}");
        }
    }
}
