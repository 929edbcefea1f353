//! Which report keys of a file are there, which have to be made, and which are there beside them.
//!
//! In: an organisation's keys in the file and there. Out: those to make, those left over. A key cannot be changed, so what it may do and
//! where is part of what it is: another key is made for what is otherwise. Invariant: each key that is there stands for one of the file at
//! most. A key that was replaced and is to end by itself is left over to nobody.

use std::collections::BTreeSet;

use anyhow::{anyhow, bail};
use jiff::Timestamp;
use service::SystemClock;

use super::check;
use super::entry::Field;
use super::model::Key;
use super::resolve::{Resolved, Slot};
use super::there::expiry_ms;

/// What the api calls the key that it makes with a property.
pub(super) const MADE_WITH_PROPERTY: &str = "made with the property";

/// What a report key may do.
const SCOPES: [&str; 2] = ["config.read", "reports"];

/// A property that a key reaches.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reached {
    There(String),
    /// To be made: a place of [`Resolved::slots`].
    New(usize),
}

/// Where a key opens something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reach {
    All,
    These(BTreeSet<Reached>),
}

/// A key of the file; `None`: the file does not say.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) place: String,
    pub(super) name: String,
    pub(super) scopes: Option<BTreeSet<String>>,
    pub(super) reach: Option<Reach>,
    pub(super) expires_at: Option<String>,
}

/// Which key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Called {
    There(String),
    /// Comes with a property that is to be made.
    MadeWith(usize),
}

/// A key that is there, or will be as soon as its property is.
#[derive(Debug, Clone)]
pub(super) struct Present {
    pub(super) called: Called,
    name: String,
    scopes: BTreeSet<String>,
    reach: Reach,
    expires_at: String,
}

/// What is to be done about keys.
#[derive(Debug, Default)]
pub(super) struct Keys {
    pub(super) made: Vec<Wanted>,
    pub(super) left: Vec<Present>,
}

impl Wanted {
    /// Reads a key of the file.
    ///
    /// # Errors
    /// With the place of what cannot be used.
    pub(super) fn read(
        file: &Key,
        place: &str,
        group: usize,
        resolved: &Resolved<'_>,
    ) -> anyhow::Result<Self> {
        check::name(&file.name, place)?;
        for (index, scope) in file.scopes.iter().flatten().enumerate() {
            if !SCOPES.contains(&scope.as_str()) {
                bail!("{place}.scopes[{index}] is {scope:?}, which is none of {}", SCOPES.join(", "));
            }
        }
        let reach = match (&file.properties, file.all_properties) {
            (Some(_), Some(true)) => {
                bail!("{place}.all_properties is true, but properties is given too; give one of them")
            }
            (None, Some(true)) if group == 0 => bail!(
                "{place}.all_properties is true, but the operator has no organisation; name the properties"
            ),
            (None, Some(true)) => Some(Reach::All),
            (Some(names), _) => {
                let reached = names.iter().enumerate().map(|(index, name)| {
                    reached(name, group, resolved)
                        .map_err(|problem| anyhow!("{place}.properties[{index}] is {name:?}, {problem}"))
                });
                Some(Reach::These(reached.collect::<Result<_, _>>()?))
            }
            (None, _) => None,
        };
        if let Some(time) = &file.expires_at
            && time.parse::<Timestamp>().is_err()
        {
            bail!("{place}.expires_at is {time:?}, which is not a time; write it as in 2027-01-31T12:00:00Z");
        }
        Ok(Self {
            place: place.to_owned(),
            name: file.name.clone(),
            scopes: file.scopes.as_ref().map(|scopes| scopes.iter().cloned().collect()),
            reach,
            expires_at: file.expires_at.clone(),
        })
    }

    fn is(&self, there: &Present) -> bool {
        self.name == there.name
            && self.scopes.as_ref().is_none_or(|scopes| *scopes == there.scopes)
            && self.reach.as_ref().is_none_or(|reach| *reach == there.reach)
            && self.expires_at.as_ref().is_none_or(|time| expiry_ms(time) == expiry_ms(&there.expires_at))
    }

    /// How much the file says: who says more chooses first.
    fn said(&self) -> usize {
        usize::from(self.scopes.is_some())
            + usize::from(self.reach.is_some())
            + usize::from(self.expires_at.is_some())
    }

    /// What a new key is to be.
    pub(super) fn fields(&self, resolved: &Resolved<'_>) -> Vec<Field> {
        let mut fields = Vec::new();
        let none = None::<()>;
        let usual = || BTreeSet::from(["reports".to_owned()]);
        fields.push(Field::new("scopes", &none, &self.scopes.clone().unwrap_or_else(usual)));
        match &self.reach {
            Some(Reach::These(reached)) => {
                let names: Vec<_> = reached.iter().map(|reached| words(reached, resolved)).collect();
                fields.push(Field::new("properties", &none, &names));
            }
            Some(Reach::All) => fields.push(Field::new("all_properties", &none, &true)),
            None => {}
        }
        fields.extend(self.expires_at.as_ref().map(|time| Field::new("expires_at", &none, time)));
        fields
    }

    /// Refuses what no key can be made of.
    fn makeable(&self) -> anyhow::Result<()> {
        let place = &self.place;
        match &self.reach {
            Some(Reach::These(reached)) if reached.is_empty() => {
                bail!(
                    "{place}.properties is empty, but a new key reaches something; name properties, or set all_properties"
                )
            }
            None => bail!("{place} is a new key and reaches nothing; give properties or all_properties"),
            _ => {}
        }
        match &self.expires_at {
            Some(time) if expiry_ms(time) <= SystemClock::shared().now_ms() => {
                bail!(
                    "{place}.expires_at is {time:?}, which is over; choose a later time, or leave the key out"
                )
            }
            _ => Ok(()),
        }
    }
}

impl Present {
    pub(super) fn of(key: &proto::config::Key) -> Self {
        let these = || key.property_ids.iter().cloned().map(Reached::There).collect();
        Self {
            called: Called::There(key.key_id.clone()),
            name: key.name.clone(),
            scopes: key.scopes.iter().cloned().collect(),
            reach: if key.all_properties { Reach::All } else { Reach::These(these()) },
            expires_at: key.expires_at.clone(),
        }
    }

    /// The key that comes with a new property.
    pub(super) fn made_with(slot: usize) -> Self {
        Self {
            called: Called::MadeWith(slot),
            name: MADE_WITH_PROPERTY.to_owned(),
            scopes: BTreeSet::from(["reports".to_owned()]),
            reach: Reach::These(BTreeSet::from([Reached::New(slot)])),
            expires_at: String::new(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn id(&self) -> &str {
        match &self.called {
            Called::There(id) => id,
            Called::MadeWith(_) => "",
        }
    }

    /// What it reaches, in words.
    pub(super) fn place(&self, resolved: &Resolved<'_>) -> String {
        match &self.reach {
            Reach::All => "all properties".to_owned(),
            Reach::These(reached) => {
                reached.iter().map(|reached| words(reached, resolved)).collect::<Vec<_>>().join(", ")
            }
        }
    }

    /// Whether it is the same key but for an end that comes sooner.
    fn ends_before(&self, other: &Self) -> bool {
        self.name == other.name
            && self.scopes == other.scopes
            && self.reach == other.reach
            && expiry_ms(&self.expires_at) < expiry_ms(&other.expires_at)
    }
}

/// Compares the keys of an organisation.
///
/// # Errors
/// With the place of a key that cannot be made.
pub(super) fn compare(wanted: Vec<Wanted>, there: Vec<Present>) -> anyhow::Result<Keys> {
    let mut wanted: Vec<_> = wanted.into_iter().enumerate().collect();
    // A stable sort: of those that say as much, the first of the file chooses first.
    wanted.sort_by_key(|(_, key)| std::cmp::Reverse(key.said()));
    let mut free = there;
    let (mut taken, mut made) = (Vec::new(), Vec::new());
    for (number, key) in wanted {
        let longest = free
            .iter()
            .enumerate()
            .filter(|(_, present)| key.is(present))
            .max_by_key(|(_, present)| expiry_ms(&present.expires_at))
            .map(|(index, _)| index);
        match longest {
            Some(index) => taken.push(free.swap_remove(index)),
            None => {
                key.makeable()?;
                made.push((number, key));
            }
        }
    }
    free.retain(|present| !taken.iter().any(|taken| present.ends_before(taken)));
    free.sort_by(|a, b| (&a.name, a.id()).cmp(&(&b.name, b.id())));
    made.sort_by_key(|(number, _)| *number);
    Ok(Keys { made: made.into_iter().map(|(_, key)| key).collect(), left: free })
}

fn words(reached: &Reached, resolved: &Resolved<'_>) -> String {
    match reached {
        Reached::There(id) => id.clone(),
        Reached::New(slot) => resolved.slots.get(*slot).map(Slot::name).unwrap_or_default().to_owned(),
    }
}

/// The property of the group that an id or a name of the file means.
fn reached(name: &str, group: usize, resolved: &Resolved<'_>) -> Result<Reached, String> {
    let own = resolved.groups.get(group).map(|group| group.own.as_slice()).unwrap_or_default();
    if let Some(found) = own.iter().find(|property| property.property_id == name) {
        return Ok(Reached::There(found.property_id.clone()));
    }
    // What the file calls them, and what the others are called.
    let slots =
        resolved.slots.iter().enumerate().filter(|(_, slot)| slot.group == group && slot.name() == name);
    let mut found: Vec<_> = slots
        .map(|(index, slot)| match slot.there {
            Some(there) => Reached::There(there.property_id.clone()),
            None => Reached::New(index),
        })
        .collect();
    let is_in_file =
        |id: &str| resolved.slots.iter().any(|slot| slot.there.is_some_and(|there| there.property_id == id));
    let others = own.iter().filter(|property| property.name == name && !is_in_file(&property.property_id));
    found.extend(others.map(|property| Reached::There(property.property_id.clone())));
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err("which is neither id nor name of a property of its organisation".to_owned()),
        _ => Err("and several properties of its organisation are called so; give the id of one".to_owned()),
    }
}

#[cfg(test)]
mod tests;
