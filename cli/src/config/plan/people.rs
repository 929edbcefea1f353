//! What has to be done about the members of an organisation.
//!
//! In: the members of the file and those that are there, told apart by e-mail address. Out: whom to add, to change, to remove. Invariant:
//! owners are made before any is unmade, so that an organisation has one at every moment.

use std::collections::BTreeMap;

use anyhow::{anyhow, bail};
use proto::config as wire;

use super::super::check;
use super::super::entry::{Action, Entry, Field, Kind};
use super::super::model::Member;
use super::super::resolve::Group;
use super::{Phase, Planner, Step, seen};
use crate::member::Role;

impl Planner<'_> {
    pub(super) fn members(&mut self, index: usize, group: &Group<'_>) -> anyhow::Result<()> {
        let Some(files) = group.members else { return Ok(()) };
        let listed = match self.details.members.get(&index) {
            None => &[],
            Some(listed) => seen(listed, &group.prefix, "members")?,
        };
        let mut there: BTreeMap<String, &wire::Member> =
            listed.iter().map(|member| (member.email.to_ascii_lowercase(), member)).collect();
        let mut places: BTreeMap<String, String> = BTreeMap::new();
        for (number, file) in files.iter().enumerate() {
            let place = format!("{}members[{number}]", group.prefix);
            let email = file.email.to_ascii_lowercase();
            if let Some(other) = places.insert(email.clone(), place.clone()) {
                bail!("{place}.email is {:?}, and so is that of {other}; name each member once", file.email);
            }
            match there.remove(&email) {
                None => self.add(index, group, file, place)?,
                Some(found) => self.update(group, file, found, place)?,
            }
        }
        for found in there.into_values() {
            let entry = Entry {
                id: found.member_id.clone(),
                ..entry(group, Action::Leave, format!("{}members", group.prefix), &found.email)
            };
            let step = Step::RemoveMember { group: index, member_id: found.member_id.clone() };
            self.beside(Phase::RightsTaken, entry, step);
        }
        Ok(())
    }

    fn add(&mut self, index: usize, group: &Group<'_>, file: &Member, place: String) -> anyhow::Result<()> {
        let Member { email, name, role } = file;
        let missing = |field| {
            anyhow!(
                "{place}.{field} is left out, but {email:?} is to be added; give name and role of a new member"
            )
        };
        let name = name.as_ref().ok_or_else(|| missing("name"))?;
        let role = role.ok_or_else(|| missing("role"))?;
        check::name(name, &place)?;
        let is_address = email
            .split_once('@')
            .is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty() && !domain.contains('@'));
        if !is_address || email.chars().any(|c| c.is_control() || c.is_whitespace()) {
            bail!(
                "{place}.email is {email:?}, which is not an e-mail address; write it as in name@example.com"
            );
        }
        let fields = vec![Field::new("name", &None::<()>, name), Field::new("role", &None::<()>, &role)];
        let step = Step::AddMember {
            group: index,
            name: name.clone(),
            email: email.clone(),
            role: role.as_str().to_owned(),
        };
        self.change(Phase::Members, Entry { fields, ..entry(group, Action::Create, place, email) }, step);
        Ok(())
    }

    fn update(
        &mut self,
        group: &Group<'_>,
        file: &Member,
        found: &wire::Member,
        place: String,
    ) -> anyhow::Result<()> {
        let (mut fields, mut member) = (Vec::new(), found.clone());
        if let Some(name) = file.name.as_ref().filter(|name| **name != found.name) {
            check::name(name, &place)?;
            fields.push(Field::new("name", &found.name, name));
            member.name.clone_from(name);
        }
        let mut phase = Phase::Members;
        if let Some(role) = file.role.filter(|role| role.as_str() != found.role) {
            let before: Option<Role> = serde_json::from_value(found.role.clone().into()).ok();
            if before.is_none_or(|before| role < before) {
                phase = Phase::RightsTaken;
            }
            fields.push(Field::new("role", &found.role, &role));
            role.as_str().clone_into(&mut member.role);
        }
        if fields.is_empty() {
            return Ok(());
        }
        let paths = fields.iter().map(|field| field.field.clone()).collect();
        let id = found.member_id.clone();
        let entry = Entry { fields, id, ..entry(group, Action::Update, place, &found.email) };
        self.change(phase, entry, Step::UpdateMember { member: Box::new(member), paths });
        Ok(())
    }
}

fn entry(group: &Group<'_>, action: Action, place: String, email: &str) -> Entry {
    Entry {
        action,
        kind: Kind::Member,
        place,
        of: group.title.clone(),
        name: email.to_owned(),
        id: String::new(),
        fields: Vec::new(),
    }
}
