//! What uap-core's own tests expect of its rules, which lie beside them in its source.

use super::*;

/// A file of cases, as uap-core's and everybody's tests read it.
#[derive(Deserialize)]
struct Cases {
    test_cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    user_agent_string: String,
    family: String,
    major: Option<String>,
    minor: Option<String>,
    brand: Option<String>,
    /// Beside a text that the browser's script knows; the rules then need both.
    js_ua: Option<String>,
}

fn cases(files: &[&str]) -> Vec<Case> {
    let read = |file: &&str| {
        let parsed: Cases = serde_yaml_ng::from_str(&foreign(&format!("data/uap-core/{file}"))).unwrap();
        parsed.test_cases
    };
    files.iter().flat_map(read).filter(|case| case.js_ua.is_none()).collect()
}

/// Asserts that all cases agree, and says how many there are.
fn check(what: &str, least: usize, cases: &[Case], is_met: impl Fn(&Case, &Client) -> bool) {
    let fails = |case: &&Case| !is_met(case, &real().classify(&case.user_agent_string, None).client);
    let failed: Vec<&str> = cases.iter().filter(fails).map(|case| case.user_agent_string.as_str()).collect();
    println!("{what}: {} cases, {} agree", cases.len(), cases.len() - failed.len());
    assert!(cases.len() >= least, "{what}: {} cases", cases.len());
    assert!(failed.is_empty(), "{what}: {failed:#?}");
}

/// A version is left out unless it has one to four digits, or is a name that Windows goes by.
fn is_kept(major: &str) -> bool {
    (1..=4).contains(&major.len()) && major.bytes().all(|byte| byte.is_ascii_digit())
}

#[test]
fn browsers_are_those_that_uap_core_expects() {
    let files = [
        "test_ua.yaml",
        "pgts_browser_list.yaml",
        "firefox_user_agent_strings.yaml",
        "opera_mini_user_agent_strings.yaml",
        "podcasting_user_agent_strings.yaml",
    ];
    check("browsers", 14_000, &cases(&files), |case, client| {
        let major = case.major.as_deref().filter(|major| is_kept(major)).unwrap_or_default();
        *client.browser == case.family && *client.browser_version == *major
    });
}

#[test]
fn systems_are_those_that_uap_core_expects() {
    let files = ["test_os.yaml", "additional_os_tests.yaml"];
    check("systems", 450, &cases(&files), |case, client| {
        let major = case.major.as_deref().unwrap_or_default();
        let both = format!("{major}.{}", case.minor.as_deref().unwrap_or_default());
        let found = &*client.operating_system_version;
        let is_version = if is_kept(major) {
            found == major || found == both
        } else {
            found.is_empty() || (case.family == "Windows" && found == major)
        };
        *client.operating_system == case.family && is_version
    });
}

#[test]
fn brands_of_devices_are_those_that_uap_core_expects() {
    check("brands", 16_000, &cases(&["test_device.yaml"]), |case, client| {
        let brand = case.brand.as_deref().unwrap_or_default();
        let is_nobodys = brand.starts_with("Generic") || brand == "Spider";
        *client.device_brand == *(if is_nobodys { "" } else { brand })
    });
}
