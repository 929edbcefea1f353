//! What a property tells the tracker, the script that its pages carry; names and meanings are those of tracker/README.md.
//!
//! These settings have no versions: nothing that was sent depends on them. In: the table `tracker` of a rules file, or
//! what is stored of it. Out: the settings that differ from the script's own defaults, as the script takes them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::rulebook::Invalid;

/// Longest text of a setting, bytes.
const TEXT_BYTES: usize = 500;

/// Most depths at which scrolling is told.
const SCROLL_DEPTHS_MAX: usize = 20;

/// A setting that is on, off, or a text that says how it is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "this is true, false or a text in quotes")]
pub enum Setting {
    /// On as the script does it by itself, or off.
    Switch(bool),
    /// On in this way.
    Text(String),
}

/// The tracker's settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrackerSettings {
    /// Where hits are posted: a URL or an absolute path; empty: `/v1/collect` where the script came from.
    pub endpoint: String,
    /// Whether pages are counted by themselves.
    pub page_views: bool,
    /// Whether a new address by `pushState`, `replaceState` or the back button is a page view.
    pub history: bool,
    /// Whether the part of the address after `#` is the route.
    pub hash: bool,
    /// Whether is sent how long a page was visible and had the focus.
    pub engagement: bool,
    /// Whether clicks on links to other hosts are counted.
    pub outbound: bool,
    /// Whether clicks on links to files are counted; a text: files with these endings, as `pdf|docx?|mp[34]`.
    pub downloads: Setting,
    /// Whether the browser's Do Not Track is followed.
    pub dnt: bool,
    /// Whether the browser's Global Privacy Control is followed.
    pub gpc: bool,
    /// `ask`, `require` or `granted`; off: without ids and storage.
    pub consent: Setting,
    /// Whether there are the commands `identify` and `set`.
    pub identify: bool,
    /// Whether there is the command `revenue`.
    pub revenue: bool,
    /// Whether submitted forms are counted.
    pub forms: bool,
    /// Whether pages that were answered with 404 are counted.
    pub not_found: bool,
    /// Whether is counted how far pages are scrolled; a text: at these percentages, as `25,50,75,90`.
    pub scroll: Setting,
    /// Whether is sent how fast a page was.
    pub web_vitals: bool,
    /// Whether clicks on elements with `data-meridian-event` are counted.
    pub clicks: bool,
    /// Whether platform, model and architecture are sent where the browser tells them.
    pub client_hints: bool,
}

impl Default for TrackerSettings {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            page_views: true,
            history: true,
            hash: false,
            engagement: true,
            outbound: true,
            downloads: Setting::Switch(true),
            dnt: false,
            gpc: false,
            consent: Setting::Switch(false),
            identify: false,
            revenue: false,
            forms: false,
            not_found: false,
            scroll: Setting::Switch(false),
            web_vitals: false,
            clicks: false,
            client_hints: false,
        }
    }
}

impl TrackerSettings {
    /// Whether they ask for something that only the full script does.
    pub fn need_full_script(&self) -> bool {
        let Self {
            endpoint: _,
            page_views: _,
            history: _,
            hash: _,
            engagement: _,
            outbound: _,
            downloads: _,
            dnt,
            gpc,
            consent,
            identify,
            revenue,
            forms,
            not_found,
            scroll,
            web_vitals,
            clicks,
            client_hints,
        } = self;
        let switches = [dnt, gpc, identify, revenue, forms, not_found, web_vitals, clicks, client_hints];
        let is_on = |setting: &&Setting| **setting != Setting::Switch(false);
        switches.into_iter().any(|is_on| *is_on) || [consent, scroll].iter().any(is_on)
    }

    /// Whether visitors may be known by ids.
    pub fn ask_for_consent(&self) -> bool {
        self.consent != Setting::Switch(false)
    }

    /// The settings that differ from the script's defaults, by the names that the script knows.
    pub fn changed(&self) -> Map<String, Value> {
        let (Ok(Value::Object(mut own)), Ok(Value::Object(usual))) =
            (serde_json::to_value(self), serde_json::to_value(Self::default()))
        else {
            return Map::new();
        };
        own.retain(|name, value| usual.get(name) != Some(value));
        own
    }

    /// # Errors
    /// The first setting that the script would not understand.
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        let check = |name: &str, value: &str, is_good: bool, problem: &str| {
            if is_good && value.len() <= TEXT_BYTES {
                return Ok(());
            }
            Err(Invalid::new(
                format!("tracker.{name}"),
                value,
                format!("{problem}, of at most {TEXT_BYTES} bytes"),
            ))
        };
        let endpoint =
            "which is neither a URL nor a path; write it as https://stats.example.com/h, or as /stats/h";
        check("endpoint", &self.endpoint, self.endpoint.is_empty() || is_endpoint(&self.endpoint), endpoint)?;
        let downloads = "which is not a list of endings; write it as pdf|docx?|mp[34]";
        if let Setting::Text(endings) = &self.downloads {
            check("downloads", endings, endings.split('|').all(is_ending), downloads)?;
        }
        let scroll = "which is not a list of percentages from 1 to 100; write it as 25,50,75,90";
        if let Setting::Text(depths) = &self.scroll {
            check("scroll", depths, are_depths(depths), scroll)?;
        }
        let consent = "which is none of ask, require, granted and false; choose one of them";
        match &self.consent {
            Setting::Switch(false) => Ok(()),
            Setting::Switch(true) => check("consent", "true", false, consent),
            Setting::Text(text) => {
                check("consent", text, matches!(text.as_str(), "ask" | "require" | "granted"), consent)
            }
        }
    }
}

fn is_endpoint(text: &str) -> bool {
    // "//" would be another host's path, which is written as a URL.
    let has_start =
        ["https://", "http://"].iter().any(|scheme| text.len() > scheme.len() && text.starts_with(scheme))
            || (text.starts_with('/') && !text.starts_with("//"));
    has_start && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"'<>\\`".contains(&byte))
}

/// The few regular expressions that endings need, so that none of them is slow or wrong: letters and digits, classes of
/// them, each perhaps with `?` behind it.
fn is_ending(text: &str) -> bool {
    let mut rest = text;
    let mut has_any = false;
    while let Some(first) = rest.chars().next() {
        rest = if first == '[' {
            match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
                Some((class, after))
                    if !class.is_empty() && class.bytes().all(|byte| byte.is_ascii_alphanumeric()) =>
                {
                    after
                }
                _ => return false,
            }
        } else if first.is_ascii_alphanumeric() {
            rest.get(1..).unwrap_or_default()
        } else {
            return false;
        };
        rest = rest.strip_prefix('?').unwrap_or(rest);
        has_any = true;
    }
    has_any
}

fn are_depths(text: &str) -> bool {
    let is_depth = |depth: &str| depth.trim().parse().is_ok_and(|percent: u32| (1..=100).contains(&percent));
    text.split(',').count() <= SCROLL_DEPTHS_MAX && text.split(',').all(is_depth)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Setting {
        Setting::Text(text.to_owned())
    }

    /// The scripts' own lists, from their source.
    const SOURCE: &str = include_str!("../../../tracker/src/settings.ts");

    /// The names in the part of the source between two texts, `name: type` or `'name',` one a line.
    fn names_in(from: &str, to: &str) -> Vec<String> {
        let part = SOURCE.split_once(from).unwrap().1.split_once(to).unwrap().0;
        let name = |line: &str| {
            let line = line.trim().trim_matches([',', '\'']);
            let name = line.split_once(':').map_or(line, |(name, _)| name);
            let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            is_name.then(|| name.to_owned())
        };
        part.lines().filter_map(name).collect()
    }

    #[test]
    fn settings_are_those_that_the_script_knows() {
        let mut known = names_in("export interface Settings {", "}");
        known.extend(names_in("export const FULL_SETTINGS: (keyof FullSettings)[] = [", "]"));
        // These two come from the property itself.
        known.retain(|name| name != "measurement_id" && name != "session_timeout_s");
        known.sort();
        let Value::Object(ours) = serde_json::to_value(TrackerSettings::default()).unwrap() else { panic!() };
        let mut ours: Vec<_> = ours.into_iter().map(|(name, _)| name).collect();
        ours.sort();
        assert_eq!(ours, known);
    }

    #[test]
    fn full_script_is_needed_for_what_only_it_knows() {
        let full = names_in("export const FULL_SETTINGS: (keyof FullSettings)[] = [", "]");
        let Value::Object(usual) = serde_json::to_value(TrackerSettings::default()).unwrap() else {
            panic!()
        };
        for (name, value) in usual {
            let other = match (&value, name.as_str()) {
                (_, "endpoint") => "/h".into(),
                (_, "consent") => "ask".into(),
                (Value::Bool(is_on), _) => Value::Bool(!is_on),
                (other, _) => panic!("{name}: {other}"),
            };
            let one = Map::from_iter([(name.clone(), other)]);
            let settings: TrackerSettings = serde_json::from_value(Value::Object(one.clone())).unwrap();
            assert_eq!(settings.check(), Ok(()), "{name}");
            assert_eq!(settings.need_full_script(), full.contains(&name), "{name}");
            assert_eq!(settings.changed(), one);
        }
        assert_eq!(TrackerSettings::default().changed(), Map::new());
    }

    #[test]
    fn settings_that_the_script_would_not_understand_are_refused() {
        let usual = TrackerSettings::default;
        for good in [
            TrackerSettings { endpoint: "https://stats.example/h?a=b".into(), ..usual() },
            TrackerSettings { endpoint: "/stats/h".into(), ..usual() },
            // The script's own default.
            TrackerSettings {
                downloads: text("pdf|zip|gz|rar|7z|csv|xlsx?|docx?|pptx?|mp[34]|exe|dmg"),
                ..usual()
            },
            TrackerSettings { scroll: text("10, 100"), ..usual() },
            TrackerSettings { consent: text("require"), ..usual() },
        ] {
            assert_eq!(good.check(), Ok(()));
        }
        let bad_endings = ["", "|pdf", "pdf|", "(a+)+", "a*", "mp[34", "mp[]", "?", "a??", "a.b", "é"];
        let bad_endings = bad_endings.map(|endings| TrackerSettings { downloads: text(endings), ..usual() });
        let others = [
            TrackerSettings { endpoint: "stats".into(), ..usual() },
            TrackerSettings { endpoint: "//other.example".into(), ..usual() },
            TrackerSettings { endpoint: "javascript:x".into(), ..usual() },
            TrackerSettings { endpoint: "/a\"b".into(), ..usual() },
            TrackerSettings { endpoint: format!("/{}", "x".repeat(500)), ..usual() },
            TrackerSettings { scroll: text("0"), ..usual() },
            TrackerSettings { scroll: text("50,"), ..usual() },
            TrackerSettings { scroll: text("101"), ..usual() },
            TrackerSettings { consent: text("yes"), ..usual() },
            TrackerSettings { consent: Setting::Switch(true), ..usual() },
        ];
        for bad in bad_endings.into_iter().chain(others) {
            let refused = bad.check().unwrap_err();
            assert!(refused.field.starts_with("tracker."), "{refused}");
        }
    }
}
