//! Checks what a file of `meridian config apply` says of a property before anything is changed, by the rules that the api has, too.
//!
//! In: a property of the file, and its rules that are there. Out: the property as the api would keep it (zones as the database spells them,
//! host names in lower case), and what differs of the rules; or one sentence with the place. So a bad line late in a long file is found
//! before the first change.

use anyhow::{Context as _, anyhow, bail};
use property::model::check_name;
use property::{NewProperty, PropertyUpdate, RulesFile};
use protocol::Protocol;
use service::SystemClock;

use super::entry::Field;
use super::model::{Alias, Property};
use super::resolve::Slot;

/// A property of the file as the api would keep it.
pub(super) struct Checked {
    pub(super) file: Property,
    /// The text of a rules file, and what it changes; `None`: nothing.
    pub(super) rules: Option<(String, Vec<Field>)>,
}

/// Checks a property; `present` is the text of its rules.
///
/// # Errors
/// With the place of what the api would refuse.
pub(super) fn property(slot: &Slot<'_>, present: Option<&String>) -> anyhow::Result<Checked> {
    let place = &slot.place;
    let mut file = slot.file.clone();
    let mut new = NewProperty {
        name: slot.name().to_owned(),
        hostnames: file.hostnames.clone().unwrap_or_default(),
        ..NewProperty::default()
    };
    for (field, given) in [
        (&mut new.time_zone, &file.time_zone),
        (&mut new.currency, &file.currency),
        (&mut new.data_region, &file.data_region),
    ] {
        if let Some(given) = given {
            given.clone_into(field);
        }
    }
    let made =
        new.create(SystemClock::shared().now_ms()).map_err(|error| anyhow!("{place}.{error}"))?.property;
    if let Some(zone) = &mut file.time_zone {
        made.time_zone().clone_into(zone);
    }
    if let Some(currency) = &mut file.currency {
        made.currency().clone_into(currency);
    }
    if let Some(hostnames) = &mut file.hostnames {
        hostnames.clone_from(&made.hostnames);
    }
    let rules = slot.file.rules.as_ref().map(|wanted| rules(slot, made, wanted, present)).transpose()?;
    Ok(Checked { file, rules: rules.filter(|(_, fields)| !fields.is_empty()) })
}

fn rules(
    slot: &Slot<'_>,
    made: property::Property,
    wanted: &RulesFile,
    present: Option<&String>,
) -> anyhow::Result<(String, Vec<Field>)> {
    let place = format!("{}.rules", slot.place);
    let text = wanted.text()?;
    let wanted = RulesFile::parse(&text).map_err(|error| anyhow!("{place}: {error}"))?;
    let before = match present {
        None => made,
        Some(text) => {
            let newer = || {
                format!("the rules of {} that are in force; use a `meridian` as new as the api", slot.name())
            };
            let present = RulesFile::parse(text).with_context(newer)?;
            let found = made.with_rules(present, 0).with_context(newer)?.property;
            let update =
                PropertyUpdate { time_zone: slot.file.time_zone.clone(), ..PropertyUpdate::default() };
            found.updated(slot.name(), update, 0).with_context(newer)?.0
        }
    };
    let changes = before.with_rules(wanted, 0).map_err(|error| anyhow!("{place}.{error}"))?.changes;
    if let (Some(zone), Some(change)) =
        (&slot.file.time_zone, changes.iter().find(|change| change.field == "time_zone"))
    {
        bail!(
            "{place}.time_zone is {}, but {}.time_zone is {zone:?}; leave one of them out",
            change.new,
            slot.place
        );
    }
    let fields = changes.iter().map(|change| Field::new(&change.field, &change.old, &change.new));
    Ok((text, fields.collect()))
}

/// The alias as the api keeps it.
///
/// # Errors
/// With the place of what the api would refuse.
pub(super) fn alias(alias: &Alias, place: &str) -> anyhow::Result<Alias> {
    let Alias { protocol: name, id, hostname } = alias;
    let Some(protocol) = Protocol::from_name(name) else {
        let known = Protocol::ALL.map(Protocol::as_str).join(", ");
        bail!("{place}.protocol is {name:?}, which is none of {known}");
    };
    match (protocol.ids_are_ambiguous(), hostname.is_empty()) {
        (true, true) => bail!(
            "{place}.hostname is left out, but ids of {name} are not unique in the world; give the host name of the pages"
        ),
        (false, false) => {
            bail!("{place}.hostname is {hostname:?}, but ids of {name} are unique; leave the host name out")
        }
        _ => {}
    }
    let kept = property::Alias {
        protocol: name.clone(),
        id: protocol.canonical_id(id),
        hostname: hostname.to_ascii_lowercase(),
    };
    kept.check()
        .map_err(|error| anyhow!("{place}.{} is {:?}, {}", error.field, error.value, error.problem))?;
    let property::Alias { protocol, id, hostname } = kept;
    Ok(Alias { protocol, id, hostname })
}

/// A display name.
///
/// # Errors
/// With the place, when it cannot be one.
pub(super) fn name(name: &str, place: &str) -> anyhow::Result<()> {
    check_name(name).map_err(|problem| anyhow!("{place}.name is {name:?}, {problem}"))
}
