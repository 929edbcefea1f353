//! Headers and values as browsers send them, and whatever else comes.

use http::HeaderValue;
use proptest::prelude::*;

use super::*;

/// Brands, platform, platform version, mobile.
fn shown(hints: Option<&Hints<'_>>) -> String {
    hints.map_or("none".to_owned(), |hints| {
        let Hints { brands, platform, platform_version, mobile } = hints;
        format!("{brands} | {platform} | {platform_version} | {mobile:?}")
    })
}

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &'static str)| {
        (HeaderName::from_static(name), HeaderValue::from_static(value))
    };
    pairs.iter().map(pair).collect()
}

#[test]
fn headers_of_browsers_are_read() {
    for (pairs, expected) in [
        (
            // Chrome 133 on Windows 11.
            &[
                ("sec-ch-ua", r#""Not/A)Brand";v="99", "Chromium";v="133", "Google Chrome";v="133""#),
                ("sec-ch-ua-mobile", "?0"),
                ("sec-ch-ua-platform", r#""Windows""#),
                ("sec-ch-ua-platform-version", r#""15.0.0""#),
            ][..],
            "Chromium 133, Google Chrome 133 | Windows | 15.0.0 | Some(false)",
        ),
        (
            // Debian's Chromium 156, to http://127.0.0.1.
            &[
                ("sec-ch-ua", r#""Not:A-Brand";v="8", "Chromium";v="156""#),
                ("sec-ch-ua-mobile", "?0"),
                ("sec-ch-ua-platform", r#""Linux""#),
            ],
            "Chromium 156 | Linux |  | Some(false)",
        ),
        (
            // The example of the specification, a telephone.
            &[
                ("sec-ch-ua", r#""Examplary Browser"; v="73", ";Not?A.Brand"; v="27""#),
                (
                    "sec-ch-ua-full-version-list",
                    r#""Examplary Browser"; v="73.3.9", ";Not?A.Brand"; v="27.0""#,
                ),
                ("sec-ch-ua-mobile", "?1"),
                ("sec-ch-ua-platform", r#""Android""#),
            ],
            "Examplary Browser 73 | Android |  | Some(true)",
        ),
        (
            // Only what was asked for arrived.
            &[("sec-ch-ua-full-version-list", r#""Chromium";v="124.0.6367.158", "Opera";v="110.0.5130.13""#)],
            "Chromium 124, Opera 110 |  |  | None",
        ),
        (&[("sec-ch-ua", r#""HeadlessChrome";v="131""#)], "HeadlessChrome 131 |  |  | None"),
        (
            &[("sec-ch-ua-platform", "Windows"), ("sec-ch-ua-platform-version", "14.0.0")],
            " | Windows | 14.0.0 | None",
        ),
        (&[("sec-ch-ua-mobile", "?1")], "none"),
        (&[("sec-ch-ua", "")], "none"),
        (&[("sec-ch-ua", r#""Not_A Brand";v="24""#), ("sec-ch-ua-mobile", "yes")], "none"),
    ] {
        let headers = headers(pairs);
        assert_eq!(shown(Hints::of_headers(&headers).as_ref()), expected, "{pairs:?}");
    }
}

#[test]
fn made_up_brands_are_left_out_however_they_are_spelled() {
    for (list, expected) in [
        (r#"" Not A;Brand";v="99", "Chromium";v="99""#, "Chromium 99"),
        (r#""(Not(A:Brand";v="8", "Chromium";v="98""#, "Chromium 98"),
        (r#""Not=A?Brand";v="24", "Chromium";v="140""#, "Chromium 140"),
        (r#""\\Not\"A;Brand";v="99", "Chromium";v="84""#, "Chromium 84"),
        (r#""Not-A.Brand";v="8", "Chromium";v="135""#, "Chromium 135"),
        (r#""Not:A-Brand";v="8", "Chromium";v="123""#, "Chromium 123"),
        (r#""Not a Brand at all";v="1""#, "Not a Brand at all 1"),
    ] {
        assert_eq!(brands_of_header(list), expected, "{list}");
    }
}

#[test]
fn lists_are_read_leniently() {
    for (list, expected) in [
        (r#""A", "B";v="2""#, "A, B 2"),
        (r#""A";x=1;v="2";y="3", B;v=4"#, "A 2, B 4"),
        (r#"  "A, Inc." ; v="1.2.3"  ,"B";v="x""#, "A Inc. 1, B"),
        (r#""never closed;v="1""#, "never closed;v="),
        (",;,\"\",;;", ""),
        (r#""A";v"#, "A"),
    ] {
        assert_eq!(brands_of_header(list), expected, "{list}");
    }
    let long: String = (0..40).map(|n| format!("\"Brand {n}\";v=\"1\", ")).collect();
    let kept = brands_of_header(&long);
    assert!(kept.len() <= limits::HINT_TEXT_BYTES && kept.ends_with(" 1"), "{kept}");
}

#[test]
fn what_scripts_read_is_the_same() {
    for (json, expected) in [
        // matomo.js 5.
        (
            r#"{"fullVersionList":[{"brand":"Not_A Brand","version":"24.0.0.0"},{"brand":"Chromium","version":"131.0.6778.265"}],
            "mobile":false,"model":"","platform":"macOS","platformVersion":"13.7.2"}"#,
            "Chromium 131 | macOS | 13.7.2 | Some(false)",
        ),
        // Snowplow's context.
        (
            r#"{"isMobile":true,"brands":[{"brand":" Not A;Brand","version":"99"},{"brand":"Chromium","version":"99"}]}"#,
            "Chromium 99 |  |  | Some(true)",
        ),
        (r#"{"brands":[],"fullVersionList":[{"brand":"Brave","version":"142"}]}"#, "Brave 142 |  |  | None"),
        (r#"{"brands":"Chromium","mobile":"yes","platform":null}"#, "none"),
        ("[]", "none"),
    ] {
        let data: Json<'_> = serde_json::from_str(json).unwrap();
        assert_eq!(shown(Hints::of_json(&data).as_ref()), expected, "{json}");
    }
}

#[test]
fn hints_of_a_hit_win_over_those_of_its_request() {
    let hints = |brands: &'static str, version: &'static str, mobile| Hints {
        brands: brands.into(),
        platform_version: version.into(),
        mobile,
        ..Hints::default()
    };
    let (hit, request) = (hints("", "15.0.0", None), hints("Chromium 142", "10.0.0", Some(false)));
    let merged = Hints::merged(Some(&hit), Some(&request)).unwrap();
    assert_eq!(
        (merged.brands, merged.platform_version, merged.mobile),
        ("Chromium 142", "15.0.0", Some(false))
    );
    assert_eq!(Hints::merged(None, Some(&request)).unwrap().platform_version, "10.0.0");
    assert_eq!(Hints::merged(Some(&hit), None).unwrap().mobile, None);
    assert_eq!(Hints::merged(None, None), None);
}

#[test]
fn pages_loaded_ahead_are_told_from_others() {
    for (name, value, expected) in [
        ("sec-purpose", "prefetch", true),
        ("sec-purpose", "prefetch;prerender", true),
        ("sec-purpose", "prefetch;anonymous-client-ip", true),
        ("purpose", "prefetch", true),
        ("x-moz", "Prefetch", true),
        ("sec-purpose", "", false),
        ("sec-purpose", "prefetched", false),
        ("accept", "prefetch", false),
    ] {
        assert_eq!(is_prefetch(&headers(&[(name, value)])), expected, "{name}: {value}");
    }
}

proptest! {
    #[test]
    fn any_header_is_read_within_the_limits(list in "[ -~]{0,300}", text in "[ -~]{0,300}") {
        let mut headers = HeaderMap::new();
        for name in [&BRANDS, &PLATFORM, &PLATFORM_VERSION, &MOBILE] {
            let value = if name == BRANDS { &list } else { &text };
            headers.insert(name.clone(), HeaderValue::from_str(value).unwrap());
        }
        if let Some(Hints { brands, platform, platform_version, .. }) = Hints::of_headers(&headers) {
            for text in [brands, platform, platform_version] {
                prop_assert!(text.len() <= limits::HINT_TEXT_BYTES);
            }
        }
    }
}
