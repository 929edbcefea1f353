//! Serves the tracker, the script that pages carry: `/t.js`, `/t.full.js`, `/t/M-….js` with the property's settings inside, and
//! `/t/HASH.js`, which never changes.
//!
//! In: the built files, read once at start. Out: answers, plain or gzip, with an `ETag`. A script that a page names by its content may
//! be kept for ever; all others are asked for again after an hour.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::Bytes;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{HeaderMap, StatusCode};
use property::Property;
use serde_json::{Value, json};
use siphasher::sip128::SipHasher24;

use super::answer::{self, Answer};

/// What stands in a built script, once, where settings go.
const PLACEHOLDER: &str = "{/*meridian-settings*/}";

/// A browser may use a script for an hour, and for a day more while it asks for a new one.
const AN_HOUR: HeaderValue = HeaderValue::from_static("public, max-age=3600, stale-while-revalidate=86400");
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// The built scripts cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("collect.tracker_dir: {}: {problem}; build it with `npm run build` in tracker/", path.display())]
pub(crate) struct TrackerError {
    path: PathBuf,
    problem: String,
}

/// The scripts; none are served without a directory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tracker(Option<Arc<Scripts>>);

#[derive(Debug)]
struct Scripts {
    small: Script,
    full: Script,
    /// The two before settings are put in.
    small_template: String,
    full_template: String,
    /// Those that were asked for lately, by the settings that they have inside.
    made: Mutex<HashMap<String, Arc<Script>>>,
}

/// Scripts with settings that are kept; at the limit all are forgotten and made again.
const MADE: usize = 1_000;

/// A script as it is sent.
#[derive(Debug)]
struct Script {
    /// 32 hexadecimal digits of its content.
    hash: String,
    plain: Bytes,
    gzip: Bytes,
}

/// Which script a path means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted<'a> {
    /// `/t.js`
    Small,
    /// `/t.full.js`
    Full,
    /// `/t/NAME.js`: a measurement id, or the hash of a script.
    Named(&'a str),
}

impl<'a> Wanted<'a> {
    /// The script of a path.
    pub(crate) fn of(path: &'a str) -> Option<Self> {
        match path {
            "/t.js" => Some(Self::Small),
            "/t.full.js" => Some(Self::Full),
            path => path.strip_prefix("/t/")?.strip_suffix(".js").map(Self::Named),
        }
    }
}

impl Tracker {
    /// Reads the built scripts.
    pub(crate) fn open(dir: Option<&Path>) -> Result<Self, TrackerError> {
        let Some(dir) = dir else { return Ok(Self(None)) };
        let (small_template, full_template) = (read(dir, "t.js")?, read(dir, "t.full.js")?);
        let scripts = Scripts {
            small: Script::new(small_template.replace(PLACEHOLDER, "{}")),
            full: Script::new(full_template.replace(PLACEHOLDER, "{}")),
            small_template,
            full_template,
            made: Mutex::default(),
        };
        Ok(Self(Some(Arc::new(scripts))))
    }

    /// Answers with a script that is the same for everybody; `None`: there is none of this name.
    pub(crate) fn answer(&self, wanted: Wanted<'_>, headers: &HeaderMap) -> Option<Answer> {
        let scripts = self.0.as_ref()?;
        match wanted {
            Wanted::Small => Some(scripts.small.answer(headers, AN_HOUR)),
            Wanted::Full => Some(scripts.full.answer(headers, AN_HOUR)),
            Wanted::Named(name) => {
                let named = [&scripts.small, &scripts.full].into_iter().find(|script| script.hash == name)?;
                Some(named.answer(headers, FOR_EVER))
            }
        }
    }

    /// Answers with the script that has a property's settings inside: the full one if they ask for what only it does. The measurement id
    /// is the property's or that of one of its data streams.
    pub(crate) fn answer_for(
        &self,
        property: &Property,
        measurement_id: &str,
        headers: &HeaderMap,
    ) -> Option<Answer> {
        Some(self.0.as_ref()?.of(property, measurement_id).answer(headers, AN_HOUR))
    }
}

impl Scripts {
    fn of(&self, property: &Property, measurement_id: &str) -> Arc<Script> {
        let settings = settings_of(property, measurement_id).to_string();
        let made = || self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(script) = made().get(&settings) {
            return Arc::clone(script);
        }
        // Made outside the lock: another thread may make the same meanwhile.
        let is_full = property.tracker().need_full_script();
        let template = if is_full { &self.full_template } else { &self.small_template };
        let script = Arc::new(Script::new(template.replace(PLACEHOLDER, &settings)));
        let mut made = made();
        if made.len() >= MADE {
            made.clear();
        }
        made.insert(settings, Arc::clone(&script));
        script
    }
}

/// What a property's script is told: whose hits they are, and what differs from the script's defaults.
fn settings_of(property: &Property, measurement_id: &str) -> Value {
    let mut settings = property.tracker().changed();
    settings.insert("measurement_id".to_owned(), json!(measurement_id));
    if property.tracker().ask_for_consent() {
        // The script makes sessions of its own then, which end when the property's do.
        settings.insert("session_timeout_s".to_owned(), json!(property.current_rules().session_timeout_s));
    }
    Value::Object(settings)
}

impl Script {
    fn new(text: String) -> Self {
        let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 2), Compression::default());
        let gzip = encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish());
        // Writing to memory does not fail.
        Self { hash: hash(&text), gzip: Bytes::from(gzip.unwrap_or_default()), plain: Bytes::from(text) }
    }

    fn answer(&self, headers: &HeaderMap, cache_control: HeaderValue) -> Answer {
        let names = |name: HeaderName, token: &str| {
            headers.get_all(name).iter().any(|value| value.to_str().is_ok_and(|text| text.contains(token)))
        };
        let is_known = names(header::IF_NONE_MATCH, &self.hash);
        let takes_gzip = names(header::ACCEPT_ENCODING, "gzip");
        let (status, body) = match (is_known, takes_gzip) {
            (true, _) => (StatusCode::NOT_MODIFIED, Bytes::new()),
            (false, true) => (StatusCode::OK, self.gzip.clone()),
            (false, false) => (StatusCode::OK, self.plain.clone()),
        };
        let mut answer = answer::with_cors(status, body);
        let fields = answer.headers_mut();
        if takes_gzip && !is_known {
            fields.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        if let Ok(tag) = HeaderValue::try_from(format!("W/\"{}\"", self.hash)) {
            fields.insert(header::ETAG, tag);
        }
        let javascript = HeaderValue::from_static("text/javascript; charset=utf-8");
        fields.insert(header::CONTENT_TYPE, javascript);
        fields.insert(header::CACHE_CONTROL, cache_control);
        fields.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        fields.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        fields.insert(RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
        answer
    }
}

fn read(dir: &Path, name: &str) -> Result<String, TrackerError> {
    let path = dir.join(name);
    let failed = |problem: String| TrackerError { path: path.clone(), problem };
    let text = std::fs::read_to_string(&path).map_err(|error| failed(error.to_string()))?;
    match text.matches(PLACEHOLDER).count() {
        1 => Ok(text),
        count => Err(failed(format!("{PLACEHOLDER} stands in it {count} times, not once"))),
    }
}

fn hash(text: &str) -> String {
    let hasher = SipHasher24::new();
    format!("{:032x}", hasher.hash(text.as_bytes()).as_u128())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_scripts() {
        for (path, expected) in [
            ("/t.js", Some(Wanted::Small)),
            ("/t.full.js", Some(Wanted::Full)),
            ("/t/M-ABCDEFGH27.js", Some(Wanted::Named("M-ABCDEFGH27"))),
            ("/t/", None),
            ("/t.css", None),
        ] {
            assert_eq!(Wanted::of(path), expected, "{path}");
        }
    }

    #[test]
    fn scripts_without_their_place_for_settings_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
        let said = || Tracker::open(Some(directory.path())).unwrap_err().to_string();
        assert!(said().contains("t.js"), "{}", said());
        write("t.js", "f({/*meridian-settings*/})");
        write("t.full.js", "f({})");
        assert!(said().contains("t.full.js") && said().contains("0 times"), "{}", said());
        write("t.full.js", "g({/*meridian-settings*/})");
        assert!(Tracker::open(Some(directory.path())).is_ok());
    }
}
