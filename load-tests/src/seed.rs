//! `seed`: many properties at once, written into the configuration's log as an api writes them.
//!
//! A million through an api's calls would take an hour, most of it answers. This is one more writer of the same log: an api beside it
//! follows, and so do hubs and edges. Ids are numbers in base 32, so that those of one number are the same in every run; nobody knows the
//! properties' secrets: hits need none, and reports are read with the admin key.

use std::io::{BufWriter, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use api::history::{Attribution, History, HistoryConfig, run};
use api::refuse::{Code, Refusal};
use clap::Args;
use configuration::stored::{self, NamedProperty};
use hit::Rules;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use property::{ApiSecret, KeyHash, Property, Rulebook, VisitorKey};
use prost::Message as _;
use proto::config::{Actor, StoredClaim};
use service::SystemClock;
use service::metrics::SharedRegistry;
use store::StoreConfig;
use tokio_util::sync::CancellationToken;

/// Properties of one version.
const TOGETHER: u32 = 5_000;

const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Arguments of `seed`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The object store of the apis: `file:///absolute/directory`
    #[arg(long, value_name = "URL")]
    store: String,
    /// Number of the first property
    #[arg(long, value_name = "N", default_value_t = 0)]
    first: u64,
    /// How many
    #[arg(long, value_name = "N")]
    count: u32,
    /// Where their ids go, a JSON object per line: for `run --properties`
    #[arg(long, value_name = "FILE")]
    listing: PathBuf,
    /// A session is over after this time without a hit, seconds
    #[arg(long, value_name = "S", default_value_t = 1_800)]
    session_timeout_s: u32,
    /// How long it is held open for late hits, seconds
    #[arg(long, value_name = "S", default_value_t = 300)]
    session_grace_s: u32,
}

/// Writes them; prints the version that has all of them.
///
/// # Errors
/// When the store cannot be written, or has one of them already.
pub async fn seed(arguments: Arguments) -> anyhow::Result<()> {
    let directory = std::env::temp_dir().join(format!("meridian-seed-{}", std::process::id()));
    let config = HistoryConfig {
        store: StoreConfig { url: arguments.store.clone() },
        data_dir: directory.clone(),
        ..HistoryConfig::default()
    };
    let store = store::open(&config.store)?;
    let runtime = tokio::runtime::Handle::current();
    let opened = tokio::task::spawn_blocking(move || {
        History::open(&config, store, SystemClock::shared(), &SharedRegistry::default(), &runtime)
    });
    let (history, author) = opened.await??;
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    let thread = std::thread::spawn(move || run(author, &stop));
    let written = write(&arguments, &history).await;
    shutdown.cancel();
    thread.join().map_err(|_| anyhow::anyhow!("the writer of the log panicked"))??;
    std::fs::remove_dir_all(&directory)?;
    written?;
    println!(
        "{}",
        serde_json::json!({ "properties": arguments.count, "version": history.position().version })
    );
    Ok(())
}

async fn write(arguments: &Arguments, history: &History) -> anyhow::Result<()> {
    let Arguments { first, count, session_timeout_s, session_grace_s, .. } = *arguments;
    let rules =
        Rules { currency: "EUR".to_owned(), session_timeout_s, session_grace_s, ..Rules::first("UTC") };
    let rules = Rulebook::try_from(vec![rules]).map_err(anyhow::Error::msg)?;
    let style = ProgressStyle::with_template("seeding properties {bar:40} {pos}/{len} {per_sec}")?;
    let bar = ProgressBar::new(count.into()).with_style(style);
    for at in (0..count).step_by(TOGETHER as usize) {
        let here = at..count.min(at.saturating_add(TOGETHER));
        bar.set_position(here.end.into());
        let actor = Actor { kind: "operator".to_owned(), id: String::new() };
        let rules = rules.clone();
        let change = history.change(Attribution { actor, method: "Seed" }, move |draft| {
            for number in here.clone() {
                let named = named(first, number, rules.clone());
                let Property { property_id, measurement_id, .. } = &named.property;
                let key = stored::property_key(property_id);
                if draft.value(&key)?.is_some() {
                    let there =
                        format!("property {property_id} is there already; begin behind it with --first");
                    return Err(Refusal::new(Code::AlreadyExists, there));
                }
                let claim = StoredClaim { property_id: property_id.clone() };
                draft.put(stored::measurement_id_key(measurement_id), claim.encode_to_vec());
                draft.put(key, stored::property_value(&named));
            }
            Ok(())
        });
        change.await?;
    }
    bar.finish_and_clear();
    let file = std::fs::File::create(&arguments.listing)
        .with_context(|| format!("cannot write --listing {}", arguments.listing.display()))?;
    let mut file = BufWriter::new(file);
    for number in 0..count {
        let (property_id, measurement_id) = ids(first + u64::from(number));
        writeln!(file, r#"{{"property_id":"{property_id}","measurement_id":"{measurement_id}"}}"#)?;
    }
    Ok(file.flush()?)
}

/// The generator calls the site of the n-th property of a listing shop-n.example.
fn named(first: u64, number: u32, rules: Rulebook) -> NamedProperty {
    let (property_id, measurement_id) = ids(first + u64::from(number));
    let key = KeyHash::of(&property_id);
    let mut visitor_key = [0; 16];
    visitor_key.iter_mut().zip(key.bytes()).for_each(|(to, from)| *to = *from);
    let property = Property {
        property_id,
        measurement_id,
        hostnames: vec![format!("shop-{number}.example")],
        created_at: Timestamp::UNIX_EPOCH,
        api_secrets: Arc::from([ApiSecret { hash: key, expires_at_ms: 0 }]),
        visitor_key: VisitorKey::from(visitor_key),
        rules,
        tracker: None,
        data_region: String::new(),
        quota: property::Quota::default(),
    };
    let name = format!("Shop number {number}");
    NamedProperty { property, name, organisation_id: String::new(), retention_days: 0 }
}

/// Property id and measurement id of a number.
fn ids(number: u64) -> (String, String) {
    (format!("p_{}", base32(number, 12)), format!("M-{}", base32(number, 10).to_ascii_uppercase()))
}

/// A number in so many digits.
fn base32(number: u64, digits: u32) -> String {
    let digit = |place: u32| {
        let value = usize::try_from(number >> (5 * place) & 31).unwrap_or(0);
        BASE32.get(value).copied().map_or('a', char::from)
    };
    (0..digits).rev().map(digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_their_form_and_differ() {
        assert_eq!(ids(31), ("p_aaaaaaaaaaa7".to_owned(), "M-AAAAAAAAA7".to_owned()));
        assert_eq!(ids(32), ("p_aaaaaaaaaaba".to_owned(), "M-AAAAAAAABA".to_owned()));
    }
}
