//! What is kept of a version: what people call it by, and nothing that could be made up without end, for each text is a row of its own.

/// Digits of a major version; a longer one is made up.
const MAJOR_DIGITS: usize = 4;
/// Digits of a minor version.
const MINOR_DIGITS: usize = 2;

/// Systems that people know by two numbers, as uap-core calls them: `18.5`, `22.04`.
const WITH_MINOR: [&str; 5] = ["Mac OS X", "iOS", "ATV OS X", "WatchOS", "Ubuntu"];
/// Versions of Windows that are no whole numbers, by uap-core.
const OF_WINDOWS: [&str; 9] = ["XP", "Vista", "ME", "CE", "NT", "NT 4.0", "RT", "RT 8", "3.1"];

/// The version of a browser: its major number.
pub(super) fn of_browser(major: Option<&str>) -> &str {
    number(major, MAJOR_DIGITS).unwrap_or_default()
}

/// The version of a system: `10` and `8.1` for Windows, major and minor for those that are known by both, otherwise the major number.
pub(super) fn of_system(system: &str, major: Option<&str>, minor: Option<&str>) -> String {
    if system == "Windows" {
        return match (major.unwrap_or_default(), minor) {
            ("8", Some("1")) => "8.1".to_owned(),
            (name, _) if OF_WINDOWS.contains(&name) => name.to_owned(),
            (major, _) => number(Some(major), MAJOR_DIGITS).unwrap_or_default().to_owned(),
        };
    }
    match (number(major, MAJOR_DIGITS), number(minor, MINOR_DIGITS)) {
        (Some(major), Some(minor)) if WITH_MINOR.contains(&system) => format!("{major}.{minor}"),
        (Some(major), _) => major.to_owned(),
        (None, _) => String::new(),
    }
}

fn number(text: Option<&str>, digits: usize) -> Option<&str> {
    text.filter(|text| (1..=digits).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()))
}
