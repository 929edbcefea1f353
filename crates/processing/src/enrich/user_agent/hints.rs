//! What client hints add to a user agent that Chromium has frozen: who calls itself Chrome, versions of systems, telephones.
//!
//! In: what the user agent alone says, and the hints. Out: the same, refined. A user agent that names a browser or a device keeps it.

use hit::HintsView;

use super::{Detected, versions};
use crate::handover::{Client, TrafficReason};

/// Brand in the hints, and what uap-core calls that browser on a computer and on a telephone.
const BROWSERS: [(&str, &str, &str); 21] = [
    ("Microsoft Edge", "Edge", "Edge Mobile"),
    ("Opera", "Opera", "Opera Mobile"),
    ("Opera GX", "Opera", "Opera Mobile"),
    ("Opera Air", "Opera", "Opera Mobile"),
    ("Opera Crypto", "Opera", "Opera Mobile"),
    ("OperaMobile", "Opera", "Opera Mobile"),
    ("Brave", "Brave", "Brave"),
    ("Brave Browser", "Brave", "Brave"),
    ("Vivaldi", "Vivaldi", "Vivaldi"),
    ("Samsung Internet", "Samsung Internet", "Samsung Internet"),
    ("YaBrowser", "Yandex Browser", "Yandex Browser"),
    ("Yandex", "Yandex Browser", "Yandex Browser"),
    ("Whale", "Whale", "Whale"),
    ("DuckDuckGo", "DuckDuckGo", "DuckDuckGo Mobile"),
    ("Android WebView", "Chrome Mobile WebView", "Chrome Mobile WebView"),
    ("Avast Secure Browser", "Avast Secure Browser", "Avast Secure Browser"),
    ("AvastSecureBrowser", "Avast Secure Browser", "Avast Secure Browser"),
    ("Avira Secure Browser", "Avira Secure Browser", "Avira Secure Browser"),
    ("AVG Secure Browser", "AVG Secure Browser", "AVG Secure Browser"),
    ("CCleaner Browser", "CCleaner Browser", "CCleaner Browser"),
    ("Norton Private Browser", "Norton Private Browser", "Norton Private Browser"),
];

/// Windows' platform version from which on it is Windows 11
/// (<https://learn.microsoft.com/en-us/microsoft-edge/web-platform/how-to-detect-win11>).
const WINDOWS_11: u32 = 13;

/// What user agent and hints say together.
pub(super) fn refine(of_user_agent: &Detected, hints: HintsView<'_>) -> Detected {
    let mut detected = of_user_agent.clone();
    let mut client = Client::clone(&detected.client);
    if let Some((browser, version)) = browser(&client.browser, hints.brands) {
        client.browser = browser.into();
        client.browser_version = versions::of_browser(Some(version)).into();
    }
    if let Some(version) = system_version(&client, hints) {
        client.operating_system_version = version.into();
    }
    if let Some(device) = device(&client, hints) {
        client.device = device.into();
    }
    if client != *detected.client {
        detected.client = client.into();
    }
    if detected.traffic == TrafficReason::None
        && brands(hints.brands).any(|(brand, _)| brand == "HeadlessChrome")
    {
        detected.traffic = TrafficReason::Headless;
    }
    detected
}

/// Brands with their versions, of `Chromium 142, Google Chrome 142`.
fn brands(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split(", ").map(|entry| match entry.rsplit_once(' ') {
        Some((brand, version)) if version.bytes().all(|byte| byte.is_ascii_digit()) => (brand, version),
        _ => (entry, ""),
    })
}

/// The browser that calls itself Chrome in its user agent: one that the hints name, or Chromium if they name no other.
fn browser<'a>(of_user_agent: &str, text: &'a str) -> Option<(&'static str, &'a str)> {
    let is_mobile = match of_user_agent {
        "Chrome" => false,
        "Chrome Mobile" => true,
        _ => return None,
    };
    let known = brands(text).find_map(|(brand, version)| {
        let (_, computer, mobile) = BROWSERS.iter().find(|(name, _, _)| *name == brand)?;
        Some((if is_mobile { *mobile } else { *computer }, version))
    });
    known.or_else(|| {
        let mut all = brands(text);
        match (all.next(), all.next()) {
            (Some(("Chromium", version)), None) => Some(("Chromium", version)),
            _ => None,
        }
    })
}

/// The version of a system of which the user agent says the same for ever: `Windows NT 10.0`, `Mac OS X 10_15_7`, `Android 10; K`.
fn system_version(client: &Client, hints: HintsView<'_>) -> Option<String> {
    let mut parts = hints.platform_version.split('.');
    let (major, minor) = (parts.next(), parts.next());
    match (&*client.operating_system, hints.platform) {
        ("Windows", "Windows") if &*client.operating_system_version == "10" => {
            (major?.parse::<u32>().ok()? >= WINDOWS_11).then(|| "11".to_owned())
        }
        (system @ "Mac OS X", "macOS") | (system @ "Android", "Android") => {
            Some(versions::of_system(system, major, minor)).filter(|version| !version.is_empty())
        }
        _ => None,
    }
}

/// The device of a user agent that names none, as in desktop mode; for Android it always names one.
fn device(client: &Client, hints: HintsView<'_>) -> Option<&'static str> {
    let is_named = !matches!(&*client.device, "desktop" | "other") || &*client.operating_system == "Android";
    match (hints.mobile, hints.platform) {
        _ if is_named => None,
        (Some(true), _) => Some("mobile"),
        (Some(false), "Android") => Some("tablet"),
        _ => None,
    }
}
