//! `meridian rule`: a property's rules as a file (docs/rules.md), and their versions; `meridian property set` and `rules` are the same.
//!
//! The file goes to the api as it is, which checks it: what the command says of a bad line is what every other client is told.

mod history;

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use comfy_table::Table;
use property::RULES_FILE_MAX_BYTES;
use proto::config::property_service_client::PropertyServiceClient;
use proto::config::{GetRulesRequest, GetRulesResponse, RuleChange, SetRulesRequest, SetRulesResponse};
use serde_json::{Value, json};

use crate::property::Format;
use crate::services::{ApiOptions, call_error};

/// What to do with rules.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print a property's rules and tracker settings as a file that `rule set` takes
    #[command(disable_version_flag = true)] // --version is the rules'
    Show(ShowArguments),
    /// Set a property's rules and tracker settings to what a file says; prints what changed
    Set(SetArguments),
    /// Show what changed with each version of a property's rules; with an owner's or the admin key also when and by whom
    History(history::Arguments),
}

/// Arguments of `rule set`.
#[derive(Debug, Args)]
pub struct SetArguments {
    /// Property id, p_…
    #[arg(long)]
    property: String,
    /// The rules, TOML, `-` is the standard input; what the file leaves out goes to its default, the time zone stays
    #[arg(short, long)]
    file: PathBuf,
    /// Only say what would change
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    api: ApiOptions,
    /// Form of the output; json: one object
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Arguments of `rule show`.
#[derive(Debug, Args)]
pub struct ShowArguments {
    /// Property id, p_…
    #[arg(long)]
    property: String,
    /// Version of the rules; without it the one in force
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    version: Option<u32>,
    #[command(flatten)]
    api: ApiOptions,
}

/// Runs the command.
///
/// # Errors
/// When the file cannot be read, or the API cannot be reached or refuses.
pub async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Show(arguments) => show(arguments).await,
        Command::Set(arguments) => set(arguments).await,
        Command::History(arguments) => history::run(arguments).await,
    }
}

/// Sets rules, and prints what changed.
///
/// # Errors
/// When the file cannot be read, or the API cannot be reached or refuses.
pub(crate) async fn set(arguments: SetArguments) -> anyhow::Result<()> {
    let SetArguments { property, file, dry_run, api, format } = arguments;
    let request = SetRulesRequest { property_id: property.clone(), rules: read(&file)?, dry_run };
    let mut client = PropertyServiceClient::new(api.connect().await?);
    let set = client.set_rules(request).await.map_err(|status| call_error(&status))?.into_inner();
    match format {
        Format::Json => println!("{}", to_json(&property, dry_run, &set)),
        Format::Table => print(&property, dry_run, &set),
    }
    Ok(())
}

/// Prints rules as a file.
///
/// # Errors
/// When the API cannot be reached or refuses.
pub(crate) async fn show(arguments: ShowArguments) -> anyhow::Result<()> {
    let ShowArguments { property, version, api } = arguments;
    let request = GetRulesRequest { property_id: property.clone(), version: version.unwrap_or_default() };
    let mut client = PropertyServiceClient::new(api.connect().await?);
    let shown = client.get_rules(request).await.map_err(|status| call_error(&status))?.into_inner();
    print!("{}{}", heading(&property, &shown), shown.rules);
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<String> {
    let most = u64::try_from(RULES_FILE_MAX_BYTES)?;
    let mut text = String::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().take(most + 1).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(most + 1).read_to_string(&mut text))
    };
    read.with_context(|| format!("cannot read --file = {path:?}"))?;
    if text.len() > RULES_FILE_MAX_BYTES {
        bail!("--file = {path:?} has more than {RULES_FILE_MAX_BYTES} bytes; shorten its lists");
    }
    Ok(text)
}

/// Comments that say what the file below them is.
fn heading(property: &str, shown: &GetRulesResponse) -> String {
    let GetRulesResponse { version, current_version, .. } = shown;
    if version == current_version {
        return format!("# {property}, version {version} of its rules, which is in force\n");
    }
    format!(
        "# {property}, version {version} of its rules; version {current_version} is in force\n\
         # [tracker] has no versions: it is the one in force\n"
    )
}

fn print(property: &str, dry_run: bool, set: &SetRulesResponse) {
    if set.changes.is_empty() {
        println!("nothing changes: {property} has these rules, version {}", set.version);
        return;
    }
    let mut table = Table::new();
    table.set_header(["field", "old", "new"]);
    for RuleChange { field, old, new } in &set.changes {
        table.add_row([field, old, new]);
    }
    println!("{table}");
    if dry_run {
        println!("dry run, nothing is set: {property} would have version {} of its rules", set.version);
    } else {
        println!("{property} has version {} of its rules; edges that are connected have it", set.version);
    }
}

fn to_json(property: &str, dry_run: bool, set: &SetRulesResponse) -> Value {
    let value = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| json!(text));
    let changes = set.changes.iter();
    let changes: Vec<_> = changes
        .map(|RuleChange { field, old, new }| json!({"field": field, "old": value(old), "new": value(new)}))
        .collect();
    json!({"property_id": property, "version": set.version, "dry_run": dry_run, "changes": changes})
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::Arguments;

    #[test]
    fn commands_take_what_they_need() {
        for (line, is_good) in [
            ("meridian property set --property p_1 --file rules.toml", true),
            ("meridian property set --property p_1 --file rules.toml --dry-run --format json", true),
            ("meridian property set --property p_1", false),
            ("meridian property set --file rules.toml", false),
            ("meridian property rules --property p_1", true),
            ("meridian property rules --property p_1 --version 3", true),
            ("meridian property rules --property p_1 --version 0", false),
            ("meridian property rules", false),
            ("meridian rule set --property p_1 -f -", true),
            ("meridian rule set --property p_1", false),
            ("meridian rule show --property p_1 --version 3", true),
            ("meridian rule history --property p_1 --limit 3", true),
            ("meridian rule history --property p_1 --limit 0", false),
            ("meridian rule history", false),
        ] {
            let parsed = Arguments::try_parse_from(line.split(' '));
            assert_eq!(parsed.is_ok(), is_good, "{line}: {:?}", parsed.err());
        }
    }

    #[test]
    fn changes_are_values_in_json() {
        let change =
            RuleChange { field: "events.key_events".into(), old: "[]".into(), new: "[\"signup\"]".into() };
        let set = SetRulesResponse { version: 2, changes: vec![change] };
        let expected = r#"{"property_id":"p_1","version":2,"dry_run":true,
            "changes":[{"field":"events.key_events","old":[],"new":["signup"]}]}"#;
        assert_eq!(to_json("p_1", true, &set), serde_json::from_str::<Value>(expected).unwrap());
    }

    #[test]
    fn headings_are_comments() {
        for (version, lines) in [(2, 2), (3, 1)] {
            let shown = GetRulesResponse { version, current_version: 3, rules: String::new() };
            let heading = heading("p_1", &shown);
            assert!(heading.lines().all(|line| line.starts_with("# ")) && heading.lines().count() == lines);
        }
    }

    #[test]
    fn file_is_read_whole_or_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rules.toml");
        assert!(format!("{:#}", read(&path).unwrap_err()).contains("rules.toml"));
        std::fs::write(&path, "#".repeat(49_152)).unwrap();
        assert_eq!(read(&path).unwrap().len(), 49_152);
        std::fs::write(&path, "#".repeat(49_153)).unwrap();
        assert!(format!("{:#}", read(&path).unwrap_err()).contains("49152 bytes"));
    }
}
