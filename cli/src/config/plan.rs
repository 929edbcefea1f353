//! What `meridian config apply` has to do so that what is there is as the file says.
//!
//! In: the file with what it means, and what is there. Out: changes in the order of the file, each with what it says to people and the
//! step that carries it out, and what is there beside the file. Nothing is asked or changed here. Invariant: no step removes a property or
//! an organisation.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, bail};
use proto::config as wire;

use super::check;
use super::entry::{Action, Entry, Field, Kind};
use super::keys::{self, Called, Present, Wanted};
use super::model::{Alias, Property};
use super::resolve::{Group, Resolved, Slot};
use super::there::Listed;

mod people;
mod streams;

/// What of what is there only some files need.
#[derive(Debug, Default)]
pub(super) struct Details {
    /// By group.
    pub(super) members: BTreeMap<usize, Listed<wire::Member>>,
    /// By group.
    pub(super) keys: BTreeMap<usize, Listed<wire::Key>>,
    /// By property.
    pub(super) streams: BTreeMap<String, Vec<wire::DataStream>>,
    /// By property.
    pub(super) aliases: BTreeMap<String, Vec<wire::Alias>>,
    /// By property.
    pub(super) rules: BTreeMap<String, String>,
}

/// When a step is carried out: after all of the phases before it. What takes rights away comes last, for it may be the caller's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Phase {
    Organisations,
    Properties,
    Rules,
    StreamsEnded,
    Streams,
    AliasesGivenUp,
    Aliases,
    Members,
    Keys,
    KeysRevoked,
    RightsTaken,
}

/// How a change is carried out; numbers are places of [`Resolved`].
#[derive(Debug, Clone)]
pub(super) enum Step {
    CreateOrganisation { group: usize, name: String },
    RenameOrganisation { group: usize, name: String },
    CreateProperty { group: usize, slot: usize, file: Box<Property> },
    UpdateProperty { property: Box<wire::Property>, paths: Vec<String> },
    SetRules { slot: usize, text: String },
    CreateStream { slot: usize, name: String },
    DeleteStream { slot: usize, measurement_id: String },
    RemoveAlias { slot: usize, alias: Alias },
    AddAlias { slot: usize, alias: Alias },
    AddMember { group: usize, name: String, email: String, role: String },
    UpdateMember { member: Box<wire::Member>, paths: Vec<String> },
    RemoveMember { group: usize, member_id: String },
    CreateKey { group: usize, key: Box<Wanted> },
    RevokeKey { group: usize, called: Called },
}

/// One change.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) phase: Phase,
    pub(super) entry: Entry,
    pub(super) step: Step,
}

/// All that is to be done, and what is left.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// In the order of the file.
    pub(super) changes: Vec<Change>,
    /// What lists of the file do not have.
    pub(super) left: Vec<Entry>,
}

/// Finds what has to be done; with `is_pruning` what lists of the file do not have goes.
///
/// # Errors
/// With the place of what the api would refuse, or the key may not see.
pub(super) fn plan(resolved: &Resolved<'_>, details: &Details, is_pruning: bool) -> anyhow::Result<Plan> {
    let mut planner = Planner { resolved, details, is_pruning, plan: Plan::default() };
    let aliases = planner.wanted_aliases()?;
    let mut slots: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (index, slot) in resolved.slots.iter().enumerate() {
        slots.entry(slot.group).or_default().push(index);
    }
    for (index, group) in resolved.groups.iter().enumerate() {
        planner.organisation(index, group)?;
        let own = slots.remove(&index).unwrap_or_default();
        for number in &own {
            if let Some(slot) = resolved.slots.get(*number) {
                planner.property(*number, slot, group)?;
                planner.streams(*number, slot)?;
                planner.aliases(*number, slot, &aliases)?;
            }
        }
        planner.unlisted_properties(group);
        planner.members(index, group)?;
        planner.keys(index, group, &own)?;
    }
    Ok(planner.plan)
}

struct Planner<'a> {
    resolved: &'a Resolved<'a>,
    details: &'a Details,
    is_pruning: bool,
    plan: Plan,
}

/// The aliases of the file as the api keeps them: for each property that gives some, and whose each is to be.
struct WantedAliases<'a> {
    of: BTreeMap<usize, Vec<(String, Alias)>>,
    there: BTreeMap<Alias, &'a str>,
}

impl<'a> Planner<'a> {
    fn change(&mut self, phase: Phase, entry: Entry, step: Step) {
        self.plan.changes.push(Change { phase, entry, step });
    }

    /// What a list of the file does not have: it goes, or is told to be left.
    fn beside(&mut self, phase: Phase, entry: Entry, step: Step) {
        if self.is_pruning {
            self.change(phase, Entry { action: Action::Remove, ..entry }, step);
        } else {
            self.plan.left.push(entry);
        }
    }

    fn organisation(&mut self, index: usize, group: &Group<'_>) -> anyhow::Result<()> {
        let (there, Some(wanted)) = (&group.names.0, group.names.1) else { return Ok(()) };
        let place = group.prefix.trim_end_matches('.').to_owned();
        check::name(wanted, &place)?;
        let id = group.id.clone().unwrap_or_default();
        let entry = Entry {
            action: Action::Create,
            kind: Kind::Organisation,
            place,
            of: String::new(),
            name: wanted.clone(),
            id,
            fields: Vec::new(),
        };
        match there {
            None => {
                let step = Step::CreateOrganisation { group: index, name: wanted.clone() };
                self.change(Phase::Organisations, entry, step);
            }
            Some(there) if there != wanted => {
                let fields = vec![Field::new("name", there, wanted)];
                let step = Step::RenameOrganisation { group: index, name: wanted.clone() };
                self.change(Phase::Organisations, Entry { action: Action::Update, fields, ..entry }, step);
            }
            Some(_) => {}
        }
        Ok(())
    }

    fn property(&mut self, number: usize, slot: &Slot<'_>, group: &Group<'_>) -> anyhow::Result<()> {
        let present = slot.there.and_then(|there| self.details.rules.get(&there.property_id));
        let checked = check::property(slot, present)?;
        let (mut file, id) =
            (checked.file, slot.there.map(|there| there.property_id.clone()).unwrap_or_default());
        let entry = |action, kind, fields| Entry {
            action,
            kind,
            place: slot.place.clone(),
            of: group.title.clone(),
            name: slot.name().to_owned(),
            id: id.clone(),
            fields,
        };
        match slot.there {
            None => {
                let mut fields = file.given();
                fields.retain(|field| field.field != "name");
                let hostnames = file.hostnames.iter().filter(|hostnames| !hostnames.is_empty());
                fields.extend(hostnames.map(|hostnames| Field::new("hostnames", &None::<()>, hostnames)));
                let entry = entry(Action::Create, Kind::Property, fields);
                let step = Step::CreateProperty { group: slot.group, slot: number, file: Box::new(file) };
                self.change(Phase::Properties, entry, step);
            }
            Some(there) => {
                let mut fields = file.differences(there);
                let wanted = file.hostnames.take().map(|wanted| self.hostnames(slot, there, wanted));
                let mut message = file.update(&there.property_id);
                if let Some(hostnames) = wanted.flatten() {
                    fields.push(Field::new("hostnames", &there.hostnames, &hostnames));
                    message.hostnames = hostnames;
                }
                if !fields.is_empty() {
                    let paths = fields.iter().map(|field| field.field.clone()).collect();
                    let step = Step::UpdateProperty { property: Box::new(message), paths };
                    self.change(Phase::Properties, entry(Action::Update, Kind::Property, fields), step);
                }
            }
        }
        if let Some((text, fields)) = checked.rules {
            let entry = Entry {
                place: format!("{}.rules", slot.place),
                ..entry(Action::Update, Kind::Rules, fields)
            };
            self.change(Phase::Rules, entry, Step::SetRules { slot: number, text });
        }
        Ok(())
    }

    /// The host names that a property is to have, if they are others; without pruning with those that the file does not have.
    fn hostnames(
        &mut self,
        slot: &Slot<'_>,
        there: &wire::Property,
        mut wanted: Vec<String>,
    ) -> Option<Vec<String>> {
        let beside: Vec<_> = there.hostnames.iter().filter(|name| !wanted.contains(name)).cloned().collect();
        if !self.is_pruning {
            for name in &beside {
                self.plan.left.push(Entry {
                    action: Action::Leave,
                    kind: Kind::Hostname,
                    place: format!("{}.hostnames", slot.place),
                    of: format!("property {:?}", slot.name()),
                    name: name.clone(),
                    id: String::new(),
                    fields: Vec::new(),
                });
            }
            wanted.extend(beside);
        }
        let set = |names: &[String]| names.iter().cloned().collect::<BTreeSet<_>>();
        (set(&wanted) != set(&there.hostnames)).then_some(wanted)
    }

    /// Reads the aliases of the whole file, which may move from one property to another.
    fn wanted_aliases(&self) -> anyhow::Result<WantedAliases<'a>> {
        let mut of: BTreeMap<usize, Vec<(String, Alias)>> = BTreeMap::new();
        let mut places: BTreeMap<Alias, String> = BTreeMap::new();
        for (number, slot) in self.resolved.slots.iter().enumerate() {
            let Some(aliases) = &slot.file.aliases else { continue };
            let own = of.entry(number).or_default();
            for (index, alias) in aliases.iter().enumerate() {
                let place = format!("{}.aliases[{index}]", slot.place);
                let alias = check::alias(alias, &place)?;
                if let Some(other) = places.insert(alias.clone(), place.clone()) {
                    bail!(
                        "{place} is {}, and so is {other}; it means one property, so name it once",
                        words(&alias)
                    );
                }
                own.push((place, alias));
            }
        }
        let there = self.details.aliases.iter().flat_map(|(property_id, aliases)| {
            aliases.iter().map(|alias| (kept(alias), property_id.as_str()))
        });
        Ok(WantedAliases { of, there: there.collect() })
    }

    fn aliases(&mut self, number: usize, slot: &Slot<'_>, all: &WantedAliases<'_>) -> anyhow::Result<()> {
        let Some(wanted) = all.of.get(&number) else { return Ok(()) };
        let id = slot.there.map(|there| there.property_id.as_str()).unwrap_or_default();
        let entry = |action, place: &str, alias: &Alias| Entry {
            action,
            kind: Kind::Alias,
            place: place.to_owned(),
            of: format!("property {:?}", slot.name()),
            name: words(alias),
            id: String::new(),
            fields: Vec::new(),
        };
        for (place, alias) in wanted {
            let owner = all.there.get(alias).copied();
            if owner == Some(id) {
                continue;
            }
            if let Some(owner) = owner {
                self.goes(owner, alias, place, all)?;
            }
            let step = Step::AddAlias { slot: number, alias: alias.clone() };
            self.change(Phase::Aliases, entry(Action::Create, place, alias), step);
        }
        for alias in self.details.aliases.get(id).into_iter().flatten().map(kept) {
            if wanted.iter().any(|(_, wanted)| *wanted == alias) {
                continue;
            }
            let step = Step::RemoveAlias { slot: number, alias: alias.clone() };
            let place = format!("{}.aliases", slot.place);
            self.beside(Phase::AliasesGivenUp, entry(Action::Leave, &place, &alias), step);
        }
        Ok(())
    }

    /// Refuses an alias that another property has and keeps.
    fn goes(&self, owner: &str, alias: &Alias, place: &str, all: &WantedAliases<'_>) -> anyhow::Result<()> {
        let slots = self.resolved.slots.iter().enumerate();
        let mut slots = slots.filter(|(_, slot)| slot.there.is_some_and(|there| there.property_id == owner));
        let is_given_up = slots.any(|(number, _)| all.of.contains_key(&number));
        match (is_given_up, self.is_pruning) {
            (true, true) => Ok(()),
            (true, false) => bail!(
                "{place} is {}, which property {owner} has, and the file does not give it there; take it from there with --prune",
                words(alias)
            ),
            (false, _) => bail!(
                "{place} is {}, which property {owner} has; end that with `meridian alias remove --property {owner}`, or give the aliases of {owner} in the file, too",
                words(alias)
            ),
        }
    }

    /// Properties hold data: they are told, whatever is pruned.
    fn unlisted_properties(&mut self, group: &Group<'_>) {
        self.plan.left.extend(group.unlisted.iter().map(|property| Entry {
            action: Action::Leave,
            kind: Kind::Property,
            place: format!("{}properties", group.prefix),
            of: group.title.clone(),
            name: property.name.clone(),
            id: property.property_id.clone(),
            fields: Vec::new(),
        }));
    }

    fn keys(&mut self, index: usize, group: &Group<'_>, own: &[usize]) -> anyhow::Result<()> {
        let Some(files) = group.keys else { return Ok(()) };
        let listed = match self.details.keys.get(&index) {
            None => Vec::new(),
            Some(listed) => seen(listed, &group.prefix, "keys")?.iter().map(Present::of).collect(),
        };
        let is_new =
            |number: &&usize| self.resolved.slots.get(**number).is_some_and(|slot| slot.there.is_none());
        let made = own.iter().filter(is_new).map(|number| Present::made_with(*number));
        let there = listed.into_iter().chain(made).collect();
        let wanted = files.iter().enumerate().map(|(number, file)| {
            Wanted::read(file, &format!("{}keys[{number}]", group.prefix), index, self.resolved)
        });
        let compared = keys::compare(wanted.collect::<Result<_, _>>()?, there)?;
        let entry = |action, place: String, name: &str, id: &str, fields| Entry {
            action,
            kind: Kind::Key,
            place,
            of: group.title.clone(),
            name: name.to_owned(),
            id: id.to_owned(),
            fields,
        };
        for key in compared.made {
            let entry = entry(Action::Create, key.place.clone(), &key.name, "", key.fields(self.resolved));
            self.change(Phase::Keys, entry, Step::CreateKey { group: index, key: Box::new(key) });
        }
        for key in compared.left {
            let fields = vec![Field::new("reaches", &None::<()>, &key.place(self.resolved))];
            let entry = entry(Action::Leave, format!("{}keys", group.prefix), key.name(), key.id(), fields);
            let step = Step::RevokeKey { group: index, called: key.called };
            self.beside(Phase::KeysRevoked, entry, step);
        }
        Ok(())
    }
}

/// A list that the file gives has to be seen.
fn seen<'a, T>(listed: &'a Listed<T>, prefix: &str, what: &str) -> anyhow::Result<&'a [T]> {
    listed.as_deref().map_err(|refused| anyhow::anyhow!("{refused}")).with_context(|| {
        format!("{prefix}{what} is given, but the key may not see what is there; leave it out")
    })
}

/// An alias that is there, as the file has them.
fn kept(alias: &wire::Alias) -> Alias {
    Alias { protocol: alias.protocol.clone(), id: alias.id.clone(), hostname: alias.hostname.clone() }
}

fn words(Alias { protocol, id, hostname }: &Alias) -> String {
    if hostname.is_empty() { format!("{protocol} {id}") } else { format!("{protocol} {id} on {hostname}") }
}

#[cfg(test)]
mod tests;
