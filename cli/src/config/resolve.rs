//! Which of the things that are there a file of `meridian config apply` means.
//!
//! In: the file and what is there. Out: every organisation and property of the file with the one that it means, or without one: it is to
//! be made. An id means what has it; a name means the one that is called so, and is refused where there are two. Invariant: no two things
//! of a file mean one.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::bail;
use proto::config as wire;

use super::model::{Key, Member, Model, Organisation, Property};

/// An organisation of the file, or the operator.
#[derive(Debug)]
pub(super) struct Group<'a> {
    /// `organisations[0].`, and nothing for the operator.
    pub(super) prefix: String,
    /// In words; empty: the operator.
    pub(super) title: String,
    /// The one that is there, `o_…`; empty: the operator; `None`: it is to be made.
    pub(super) id: Option<String>,
    /// Its names there and in the file, of an organisation.
    pub(super) names: (Option<String>, Option<&'a String>),
    pub(super) members: Option<&'a [Member]>,
    pub(super) keys: Option<&'a [Key]>,
    /// Properties there that the file's list of them does not have.
    pub(super) unlisted: Vec<&'a wire::Property>,
    /// All properties there.
    pub(super) own: Vec<&'a wire::Property>,
}

/// A property of the file.
#[derive(Debug)]
pub(super) struct Slot<'a> {
    /// Whose, a place of [`Resolved::groups`].
    pub(super) group: usize,
    /// `organisations[0].properties[2]`
    pub(super) place: String,
    pub(super) file: &'a Property,
    /// The one that is there; `None`: it is to be made.
    pub(super) there: Option<&'a wire::Property>,
}

/// The file, with what it means.
#[derive(Debug, Default)]
pub(super) struct Resolved<'a> {
    pub(super) groups: Vec<Group<'a>>,
    pub(super) slots: Vec<Slot<'a>>,
}

/// What is there, for names and ids.
pub(super) struct There {
    pub(super) is_operator: bool,
    pub(super) organisations: Vec<wire::Organisation>,
    pub(super) properties: Vec<wire::Property>,
}

impl Slot<'_> {
    /// What people call it.
    pub(super) fn name(&self) -> &str {
        let there = self.there.map(|there| &there.name);
        self.file.name.as_ref().or(there).map_or("", String::as_str)
    }
}

/// Finds what the file means.
///
/// # Errors
/// With the place of what means nothing, two things, or the same as another.
pub(super) fn resolve<'a>(model: &'a Model, there: &'a There) -> anyhow::Result<Resolved<'a>> {
    let mut own: BTreeMap<&str, Vec<&wire::Property>> = BTreeMap::new();
    for property in &there.properties {
        own.entry(&property.organisation_id).or_default().push(property);
    }
    let mut resolved = Resolved::default();
    for (field, is_given) in [("properties", model.properties.is_some()), ("keys", model.keys.is_some())] {
        if is_given && !there.is_operator {
            bail!(
                "{field} at the top of the file are the operator's and take the admin key; put them under the organisation that they belong to"
            );
        }
    }
    let operator = Group {
        prefix: String::new(),
        title: String::new(),
        id: Some(String::new()),
        names: (None, None),
        members: None,
        keys: model.keys.as_deref(),
        unlisted: Vec::new(),
        own: own.remove("").unwrap_or_default(),
    };
    let properties = model.properties.as_deref();
    resolved.add(operator, properties, there)?;
    let organisations = model.organisations.as_deref().unwrap_or_default();
    let ids = meant_organisations(organisations, there)?;
    for (index, (file, found)) in organisations.iter().zip(ids).enumerate() {
        let title = file.name.as_ref().or(found.map(|found| &found.name)).cloned().unwrap_or_default();
        let group = Group {
            prefix: format!("organisations[{index}]."),
            title: format!("organisation {title:?}"),
            id: found.map(|found| found.organisation_id.clone()),
            names: (found.map(|found| found.name.clone()), file.name.as_ref()),
            members: file.members.as_deref(),
            keys: file.keys.as_deref(),
            unlisted: Vec::new(),
            own: found.and_then(|found| own.remove(found.organisation_id.as_str())).unwrap_or_default(),
        };
        resolved.add(group, file.properties.as_deref(), there)?;
    }
    Ok(resolved)
}

fn meant_organisations<'a>(
    organisations: &[Organisation],
    there: &'a There,
) -> anyhow::Result<Vec<Option<&'a wire::Organisation>>> {
    let wanted: Vec<_> = organisations
        .iter()
        .enumerate()
        .map(|(index, file)| Wanted {
            place: format!("organisations[{index}]"),
            id: file.id.as_deref(),
            name: file.name.as_deref(),
        })
        .collect();
    let candidates: Vec<_> = there
        .organisations
        .iter()
        .map(|found| Candidate { id: &found.organisation_id, name: &found.name, what: found })
        .collect();
    let meant = meant("organisation", "o_…", &wanted, &candidates)?;
    for (wanted, found) in wanted.iter().zip(&meant) {
        if found.is_none() && !there.is_operator {
            bail!(
                "{}.name is {:?}, as which the key sees no organisation, and to make one takes the admin key; give the id of the one that is meant",
                wanted.place,
                wanted.name.unwrap_or_default()
            );
        }
    }
    Ok(meant)
}

impl<'a> Resolved<'a> {
    fn add(
        &mut self,
        mut group: Group<'a>,
        properties: Option<&'a [Property]>,
        there: &'a There,
    ) -> anyhow::Result<()> {
        let wanted: Vec<_> = properties
            .unwrap_or_default()
            .iter()
            .enumerate()
            .map(|(index, file)| Wanted {
                place: format!("{}properties[{index}]", group.prefix),
                id: file.id.as_deref(),
                name: file.name.as_deref(),
            })
            .collect();
        let candidates: Vec<_> = group
            .own
            .iter()
            .map(|found| Candidate { id: &found.property_id, name: &found.name, what: *found })
            .collect();
        belong(&wanted, &group, there)?;
        let meant = meant("property", "p_…", &wanted, &candidates)?;
        let listed: BTreeSet<_> =
            meant.iter().flatten().map(|property| property.property_id.as_str()).collect();
        if properties.is_some() {
            let is_unlisted = |property: &&wire::Property| !listed.contains(property.property_id.as_str());
            group.unlisted = group.own.iter().copied().filter(is_unlisted).collect();
        }
        let number = self.groups.len();
        let files = properties.unwrap_or_default().iter().zip(&wanted).zip(meant);
        self.slots.extend(files.map(|((file, wanted), there)| Slot {
            group: number,
            place: wanted.place.clone(),
            file,
            there,
        }));
        self.groups.push(group);
        Ok(())
    }
}

/// Refuses an id of another's property in words of its own: a property belongs where it was made.
fn belong(wanted: &[Wanted<'_>], group: &Group<'_>, there: &There) -> anyhow::Result<()> {
    let by_id: BTreeMap<_, _> = there
        .properties
        .iter()
        .map(|property| (property.property_id.as_str(), property.organisation_id.as_str()))
        .collect();
    for Wanted { place, id, .. } in wanted {
        let Some((id, owner)) = id.and_then(|id| by_id.get_key_value(id)) else { continue };
        if group.id.as_deref() != Some(owner) {
            let owner = if owner.is_empty() { "the operator" } else { owner };
            bail!("{place}.id is {id:?}, which belongs to {owner} for good; name it there");
        }
    }
    Ok(())
}

/// A thing of the file.
struct Wanted<'a> {
    place: String,
    id: Option<&'a str>,
    name: Option<&'a str>,
}

/// A thing that is there.
struct Candidate<'a, T> {
    id: &'a str,
    name: &'a str,
    what: &'a T,
}

/// For each thing of the file the one that it means.
fn meant<'a, T>(
    kind: &str,
    id_form: &str,
    wanted: &[Wanted<'_>],
    candidates: &[Candidate<'a, T>],
) -> anyhow::Result<Vec<Option<&'a T>>> {
    let by_id: BTreeMap<_, _> = candidates.iter().map(|candidate| (candidate.id, candidate)).collect();
    let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
    for Wanted { place, id, .. } in wanted {
        let Some(id) = id else { continue };
        let Some(candidate) = by_id.get(id) else {
            bail!(
                "{place}.id is {id:?}, and the key sees no such {kind} here; leave the id out to find it by its name or to make it"
            );
        };
        if let Some(other) = taken.insert(candidate.id, place) {
            bail!("{place}.id is {id:?}, which {other} has too; name each {kind} once");
        }
    }
    let mut by_name: BTreeMap<&str, Vec<&Candidate<'_, T>>> = BTreeMap::new();
    for candidate in candidates.iter().filter(|candidate| !taken.contains_key(candidate.id)) {
        by_name.entry(candidate.name).or_default().push(candidate);
    }
    let (mut found, mut named) = (Vec::with_capacity(wanted.len()), BTreeMap::new());
    for Wanted { place, id, name } in wanted {
        if let Some(id) = id {
            found.push(by_id.get(id).map(|candidate| candidate.what));
            continue;
        }
        let Some(name) = *name else {
            bail!(
                "{place} has neither id nor name; give the name of a new {kind}, or the id of one that is there, {id_form}"
            );
        };
        if let Some(other) = named.insert(name, place) {
            bail!(
                "{place}.name is {name:?}, and so is that of {other}; give other names, or ids where they are there already"
            );
        }
        match by_name.get(name).map(Vec::as_slice).unwrap_or_default() {
            [] => found.push(None),
            [one] => found.push(Some(one.what)),
            [one, other, ..] => bail!(
                "{place}.name is {name:?}, and {} and {} are both called so; give the id of the one that is meant",
                one.id,
                other.id
            ),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
