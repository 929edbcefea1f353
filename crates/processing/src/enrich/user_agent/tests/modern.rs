//! Browsers of today with the hints they send, and reasons.
//!
//! User agents and hints are those of real browsers; what they are called is by uap-core's names, by the examples of
//! <https://wicg.github.io/ua-client-hints> and Microsoft's page on Windows 11.

use super::*;

const WINDOWS: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";
const MAC: &str = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";
const LINUX: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";
const PHONE: &str = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36";
const TABLET: &str = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";
const CHROME: &str = "Chromium 142, Google Chrome 142";

const fn hints(
    brands: &'static str,
    platform: &'static str,
    platform_version: &'static str,
    mobile: Option<bool>,
) -> Option<HintsView<'static>> {
    Some(HintsView { brands, platform, platform_version, mobile })
}

fn shown(detected: &Detected) -> String {
    let Client { browser, browser_version, operating_system, operating_system_version, device, device_brand } =
        &*detected.client;
    format!(
        "{browser} {browser_version}, {operating_system} {operating_system_version}, {device}, {device_brand}"
    )
}

#[test]
fn versions_and_brands_are_those_that_people_know() {
    for (user_agent, expected) in [
        (WINDOWS, "Chrome 142, Windows 10, desktop, "),
        (MAC, "Chrome 142, Mac OS X 10.15, desktop, Apple"),
        (PHONE, "Chrome Mobile 142, Android 10, mobile, "),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
            "Mobile Safari 18, iOS 18.5, mobile, Apple",
        ),
        // An iPad that asks for desktop pages, which is the default.
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15",
            "Safari 18, Mac OS X 10.15, desktop, Apple",
        ),
        (
            "Mozilla/5.0 (Linux; Android 13; SM-X906C) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
            "Chrome 120, Android 13, tablet, Samsung",
        ),
        (
            "Mozilla/5.0 (Windows NT 6.3; Win64; x64; rv:115.0) Gecko/20100101 Firefox/115.0",
            "Firefox 115, Windows 8.1, desktop, ",
        ),
        (
            "Mozilla/5.0 (Windows NT 5.1; rv:52.0) Gecko/20100101 Firefox/52.0",
            "Firefox 52, Windows XP, desktop, ",
        ),
        (
            "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36",
            "Chrome 138, Chrome OS , desktop, ",
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0",
            "Edge 142, Windows 10, desktop, ",
        ),
        // Made up, so that each would be a row of its own.
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:99999999.0) Gecko/20100101 Firefox/99999999.0",
            "Firefox , Linux , desktop, ",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_999 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
            "Mobile Safari 18, iOS 18, mobile, Apple",
        ),
    ] {
        assert_eq!(shown(&real().classify(user_agent, None)), expected, "{user_agent}");
    }
}

#[test]
fn hints_say_what_the_user_agent_cannot() {
    let on_windows = |brands, version| (WINDOWS, hints(brands, "Windows", version, Some(false)));
    for ((user_agent, hints), expected) in [
        (on_windows(CHROME, "15.0.0"), "Chrome 142, Windows 11, desktop, "),
        (on_windows(CHROME, "13.0.0"), "Chrome 142, Windows 11, desktop, "),
        (on_windows(CHROME, "10.0.0"), "Chrome 142, Windows 10, desktop, "),
        (on_windows(CHROME, "1.0.0"), "Chrome 142, Windows 10, desktop, "),
        (on_windows(CHROME, ""), "Chrome 142, Windows 10, desktop, "),
        (on_windows(CHROME, "eleven"), "Chrome 142, Windows 10, desktop, "),
        (on_windows("Chromium 142, Microsoft Edge 142", ""), "Edge 142, Windows 10, desktop, "),
        (on_windows("Chromium 140, Opera GX 124", ""), "Opera 124, Windows 10, desktop, "),
        (on_windows("Brave 142, Chromium 142", ""), "Brave 142, Windows 10, desktop, "),
        (on_windows("Chromium 142", ""), "Chromium 142, Windows 10, desktop, "),
        (on_windows("Chromium 142, Unheard Of 7", ""), "Chrome 142, Windows 10, desktop, "),
        (on_windows("Brave 99999999, Chromium 142", ""), "Brave , Windows 10, desktop, "),
        ((MAC, hints(CHROME, "macOS", "15.5.0", Some(false))), "Chrome 142, Mac OS X 15.5, desktop, Apple"),
        ((MAC, hints(CHROME, "macOS", "99999.5", Some(false))), "Chrome 142, Mac OS X 10.15, desktop, Apple"),
        ((LINUX, hints(CHROME, "Linux", "6.6.72", Some(false))), "Chrome 142, Linux , desktop, "),
        ((PHONE, hints(CHROME, "Android", "16.0.0", Some(true))), "Chrome Mobile 142, Android 16, mobile, "),
        (
            (PHONE, hints("Chromium 142, Brave 142", "Android", "16.0.0", Some(true))),
            "Brave 142, Android 16, mobile, ",
        ),
        (
            (PHONE, hints("Chromium 142, Microsoft Edge 142", "Android", "", Some(true))),
            "Edge Mobile 142, Android 10, mobile, ",
        ),
        (
            (PHONE, hints("Chromium 123, Android WebView 123", "Android", "13", Some(true))),
            "Chrome Mobile WebView 123, Android 13, mobile, ",
        ),
        ((TABLET, hints(CHROME, "Android", "15.0.0", Some(false))), "Chrome 142, Android 15, tablet, "),
        // Desktop pages on a telephone and on a tablet, where the hints say more than the user agent.
        ((LINUX, hints(CHROME, "Android", "15.0.0", Some(true))), "Chrome 142, Linux , mobile, "),
        ((LINUX, hints(CHROME, "Android", "15.0.0", Some(false))), "Chrome 142, Linux , tablet, "),
        // Hints of another system say nothing of this one.
        ((WINDOWS, hints(CHROME, "macOS", "15.5.0", Some(false))), "Chrome 142, Windows 10, desktop, "),
    ] {
        assert_eq!(shown(&real().classify(user_agent, hints)), expected, "{user_agent} {hints:?}");
        assert_eq!(shown(&real().classify(user_agent, hints)), expected, "the second time: {hints:?}");
    }
}

#[test]
fn a_user_agent_that_names_its_browser_or_device_keeps_it() {
    for (user_agent, hints, expected) in [
        (
            "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36",
            hints("Chromium 130, Brave 130", "Android", "", Some(false)),
            "Samsung Internet 28, Android 10, mobile, ",
        ),
        (
            "Mozilla/5.0 (Linux; Android 12; BRAVIA 4K VH2 TV) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
            hints("Chromium 130, Google Chrome 130", "Android", "12.0.0", Some(false)),
            "Chrome 130, Android 12, other, ",
        ),
    ] {
        assert_eq!(shown(&real().classify(user_agent, hints)), expected, "{user_agent}");
    }
}

#[test]
fn texts_are_short() {
    let long = "x".repeat(200);
    let detected = real().classify(&format!("Mozilla/5.0 (compatible; {long}bot/1.0)"), None);
    assert!(detected.client.browser.len() <= TEXT_BYTES, "{detected:?}");
}

#[test]
fn reasons_are_told_apart() {
    use TrafficReason::{CrawlerUserAgent, Headless, NoBrowser, NoUserAgent, None};
    let headless = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/74.0.3729.169 Safari/537.36";
    for (user_agent, brands, reason, device) in [
        ("", "", NoUserAgent, "bot"),
        ("-", "", NoUserAgent, "bot"),
        (
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "",
            CrawlerUserAgent,
            "bot",
        ),
        ("curl/8.5.0", "", CrawlerUserAgent, "bot"),
        ("entirely unheard of", "", NoBrowser, "bot"),
        (headless, "", Headless, "desktop"),
        (
            "Mozilla/5.0 (Unknown; Linux x86_64) AppleWebKit/538.1 (KHTML, like Gecko) PhantomJS/2.1.1 Safari/538.1",
            "",
            Headless,
            "desktop",
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36 Playwright/1.40.0",
            "",
            Headless,
            "desktop",
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Cypress/13.6.0 Chrome/114.0.5735.289 Electron/25.8.4 Safari/537.36",
            "",
            Headless,
            "desktop",
        ),
        // Who says that it is a crawler is one, whatever it drives.
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/120.0 Safari/537.36 (compatible; ExampleBot/1.0)",
            "",
            CrawlerUserAgent,
            "bot",
        ),
        (LINUX, "HeadlessChrome 142, Chromium 142", Headless, "desktop"),
        (LINUX, CHROME, None, "desktop"),
        ("curl/8.5.0", "HeadlessChrome 142", CrawlerUserAgent, "bot"),
    ] {
        let detected = real().classify(user_agent, hints(brands, "", "", Option::None));
        assert_eq!((detected.traffic, &*detected.client.device), (reason, device), "{user_agent} {brands}");
    }
    assert_eq!(real().classify(headless, Option::None).traffic.class(), Automation);
}

#[test]
fn of_a_visitor_that_a_server_tells_of_nothing_is_known() {
    let hit = HitView { sent_by_server: true, ..HitView::default() };
    assert_eq!(
        (shown(&real().of(&hit)), real().of(&hit).traffic),
        ("Other , Other , other, ".to_owned(), TrafficReason::None)
    );
    let hit = HitView { user_agent: WINDOWS, client_hints: hints(CHROME, "Windows", "15.0.0", None), ..hit };
    assert_eq!(shown(&real().of(&hit)), "Chrome 142, Windows 11, desktop, ");
    assert_eq!(real().of(&HitView::default()).traffic, TrafficReason::NoUserAgent);
}
