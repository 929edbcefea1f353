//! Adds, changes, removes and lists the members of organisations.
//!
//! In: who calls and what for. Out: members, and for a new one its key, once. Invariants: an organisation that has an owner keeps one; a
//! member's keys end with the member; no two members of an organisation have one e-mail address.

use configuration::replica::{Reader, Records as _};
use configuration::stored::access::{self, FIRST_OWNER, Holder, Key, MEMBER, Member, Role};
use http::HeaderMap;
use property::KeyHash;
use property::key::{random_id, random_secret};

use crate::authorize::Action;
use crate::calls::{Access, ConfigCalls};
use crate::history::draft::Draft;
use crate::history::unreadable;
use crate::metrics::Method;
use crate::organisations::named;
use crate::page::{self, Page};
use crate::properties::no_random;
use crate::refuse::{Code, Refusal};

/// Most members of one organisation.
const MEMBERS_MAX: usize = 500;

/// Longest e-mail address, bytes (RFC 5321, 4.5.3.1.3, less the angle brackets).
const EMAIL_MAX_BYTES: usize = 254;

/// Whom to add.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMember {
    /// Display name.
    pub name: String,
    /// E-mail address.
    pub email: String,
    /// What the person may do.
    pub role: Role,
}

/// Fields that are to be otherwise; `None`: as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemberUpdate {
    /// Display name.
    pub name: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// What the person may do.
    pub role: Option<Role>,
}

impl ConfigCalls {
    /// Adds a member; gives its key, too.
    ///
    /// # Errors
    /// `InvalidArgument` by field, `AlreadyExists`, `PermissionDenied`; `NotFound` for the admin.
    pub async fn add_member(
        &self,
        headers: &HeaderMap,
        organisation_id: String,
        new: NewMember,
    ) -> Result<(Member, String), Refusal> {
        let make = move |draft: &mut Draft<'_>, access: &Access| {
            let organisation = access.organisation(draft, Action::ChangeMembers, &organisation_id)?;
            add(draft, &organisation.organisation_id, new.clone(), access.now_ms)
        };
        self.change(Method::AddMember, headers, make).await
    }

    /// Changes a member.
    ///
    /// # Errors
    /// As [`Self::add_member`]; `InvalidArgument` for the role of the last owner.
    pub async fn update_member(
        &self,
        headers: &HeaderMap,
        organisation_id: String,
        member_id: String,
        update: MemberUpdate,
    ) -> Result<Member, Refusal> {
        let make = move |draft: &mut Draft<'_>, access: &Access| {
            let mut member = find(draft, access, &organisation_id, &member_id)?;
            if let Some(name) = &update.name {
                named("name", name)?;
                member.name.clone_from(name);
            }
            if let Some(email) = &update.email {
                addressed(draft, &member.organisation_id, &member.member_id, email)?;
                member.email.clone_from(email);
            }
            if let Some(role) = update.role {
                if role < Role::Owner {
                    keep_an_owner(draft, &member, "role", role.as_str())?;
                }
                member.role = role;
            }
            put(draft, &member)?;
            Ok(member)
        };
        self.change(Method::UpdateMember, headers, make).await
    }

    /// Removes a member and its keys.
    ///
    /// # Errors
    /// `InvalidArgument` for the last owner, `PermissionDenied`, `NotFound`.
    pub async fn remove_member(
        &self,
        headers: &HeaderMap,
        organisation_id: String,
        member_id: String,
    ) -> Result<(), Refusal> {
        let make = move |draft: &mut Draft<'_>, access: &Access| {
            let member = find(draft, access, &organisation_id, &member_id)?;
            keep_an_owner(draft, &member, "member_id", &member_id)?;
            for secret in &member.keys {
                if let Some(key) = access::key(draft, &secret.hash)? {
                    access::delete_key(&key, &secret.hash).into_iter().for_each(|key| draft.delete(key));
                }
            }
            draft.delete(access::member_key(&member.organisation_id, &member.member_id));
            Ok(())
        };
        self.change(Method::RemoveMember, headers, make).await
    }

    /// The members of an organisation, by id, with the token of the next page.
    ///
    /// # Errors
    /// `PermissionDenied`; `NotFound` for the admin.
    pub async fn list_members(
        &self,
        headers: &HeaderMap,
        organisation_id: String,
        page: Page,
    ) -> Result<(Vec<Member>, String), Refusal> {
        let read = move |reader: &Reader<'_>, access: &Access| {
            let organisation = access.organisation(reader, Action::ReadMembers, &organisation_id)?;
            let prefix = format!("{MEMBER}{}/", organisation.organisation_id);
            let (found, next) = page::records(reader, &prefix, &page)?;
            let read = |(id, value): &(String, Vec<u8>)| {
                access::read_member(&format!("{prefix}{id}"), value).map_err(|error| unreadable(&error))
            };
            Ok((found.iter().map(read).collect::<Result<_, _>>()?, next))
        };
        self.read(Method::ListMembers, headers, read).await
    }
}

/// Adds a member with a key, which is given.
pub(crate) fn add(
    draft: &mut Draft<'_>,
    organisation_id: &str,
    new: NewMember,
    now_ms: u64,
) -> Result<(Member, String), Refusal> {
    let NewMember { name, email, role } = new;
    named("name", &name)?;
    let mut count = 0;
    let told = draft.for_each(&format!("{MEMBER}{organisation_id}/"), &mut |_key, _value| count += 1);
    told.map_err(|error| unreadable(&error))?;
    if count >= MEMBERS_MAX {
        let problem = format!("which has {MEMBERS_MAX} members, the most there can be; remove one first");
        return Err(Refusal::invalid("organisation_id", organisation_id, problem));
    }
    let member_id = random_id("u_").map_err(|error| no_random(&error))?;
    addressed(draft, organisation_id, &member_id, &email)?;
    let secret = random_secret("mk_").map_err(|error| no_random(&error))?;
    let key = Key {
        key_id: random_id("k_").map_err(|error| no_random(&error))?,
        organisation_id: organisation_id.to_owned(),
        name: "made with the member".to_owned(),
        holder: Holder::Member(member_id.clone()),
        created_at_ms: now_ms,
        expires_at_ms: 0,
    };
    let organisation_id = organisation_id.to_owned();
    let member =
        Member { organisation_id, member_id, name, email, role, created_at_ms: now_ms, keys: Vec::new() };
    put(draft, &member)?;
    access::put_key(&key, KeyHash::of(&secret), Some(member.clone()))
        .into_iter()
        .for_each(|(key, value)| draft.put(key, value));
    Ok((member, secret))
}

fn put(draft: &mut Draft<'_>, member: &Member) -> Result<(), Refusal> {
    let Member { organisation_id, member_id, role, .. } = member;
    if *role == Role::Owner && draft.value(FIRST_OWNER)?.is_none() {
        draft.put(FIRST_OWNER.to_owned(), format!("{organisation_id}/{member_id}").into_bytes());
    }
    draft.put(access::member_key(organisation_id, member_id), access::member_value(member));
    Ok(())
}

fn find(
    draft: &Draft<'_>,
    access: &Access,
    organisation_id: &str,
    member_id: &str,
) -> Result<Member, Refusal> {
    let organisation = access.organisation(draft, Action::ChangeMembers, organisation_id)?;
    access::member(draft, &organisation.organisation_id, member_id)?.ok_or_else(|| no_member(member_id))
}

/// The organisation has no such member; whether another has is not told.
pub(crate) fn no_member(member_id: &str) -> Refusal {
    let problem = "which is no member of this organisation; `meridian member list` shows those that are";
    Refusal { code: Code::NotFound, ..Refusal::invalid("member_id", member_id, problem) }
}

/// Refuses to take an organisation its last owner.
fn keep_an_owner(draft: &Draft<'_>, member: &Member, field: &str, value: &str) -> Result<(), Refusal> {
    let members = access::members(draft, &member.organisation_id)?;
    let is_other = |other: &Member| other.role == Role::Owner && other.member_id != member.member_id;
    if member.role < Role::Owner || members.iter().any(is_other) {
        return Ok(());
    }
    let problem = format!(
        "but {} is the last owner of the organisation; make another member an owner first",
        member.member_id
    );
    Err(Refusal::invalid(field, value, problem))
}

/// Refuses what is no e-mail address, or another member's.
fn addressed(draft: &Draft<'_>, organisation_id: &str, member_id: &str, email: &str) -> Result<(), Refusal> {
    let is_address = email.len() <= EMAIL_MAX_BYTES
        && !email.chars().any(|c| c.is_control() || c.is_whitespace())
        && email
            .split_once('@')
            .is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty() && !domain.contains('@'));
    if !is_address {
        let problem = format!(
            "which is not an e-mail address of at most {EMAIL_MAX_BYTES} bytes; write it as in name@example.com"
        );
        return Err(Refusal::invalid("email", email, problem));
    }
    let is_taken = |other: &Member| other.member_id != member_id && other.email.eq_ignore_ascii_case(email);
    if access::members(draft, organisation_id)?.iter().any(is_taken) {
        let problem =
            "which another member of this organisation has; use another address, or change that member";
        return Err(Refusal { code: Code::AlreadyExists, ..Refusal::invalid("email", email, problem) });
    }
    Ok(())
}

/// A role by its name.
pub(crate) fn role(name: &str) -> Result<Role, Refusal> {
    let problem = "which is none of viewer, editor, owner";
    Role::from_name(name).ok_or_else(|| Refusal::invalid("role", name, problem))
}
