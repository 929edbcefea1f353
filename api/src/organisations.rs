//! Makes, shows and changes organisations.
//!
//! In: who calls and what for. Out: organisations. Organisations are made with the admin key only: who runs the service decides who is its
//! customer. The first owner is made together with its organisation, once.

use configuration::replica::Reader;
use configuration::stored::access::{self, FIRST_OWNER, Member, ORGANISATION, Organisation, Role};
use http::HeaderMap;
use property::key::random_id;
use property::model::check_name;

use crate::authorize::Action;
use crate::calls::{Access, ConfigCalls};
use crate::history::draft::Draft;
use crate::history::unreadable;
use crate::members::{NewMember, add};
use crate::metrics::Method;
use crate::page::{self, Page};
use crate::properties::no_random;
use crate::refuse::{Code, Refusal};

/// The first owner, with all that was made for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstOwner {
    /// Its organisation.
    pub organisation: Organisation,
    /// The owner.
    pub member: Member,
    /// `mk_…`
    pub key: String,
}

impl ConfigCalls {
    /// Makes an organisation.
    ///
    /// # Errors
    /// `InvalidArgument` by field, `PermissionDenied`.
    pub async fn create_organisation(
        &self,
        headers: &HeaderMap,
        name: String,
    ) -> Result<Organisation, Refusal> {
        let make = move |draft: &mut Draft<'_>, access: &Access| {
            access.operator(Action::CreateOrganisation)?;
            create(draft, "name", &name, access.now_ms)
        };
        self.change(Method::CreateOrganisation, headers, make).await
    }

    /// Makes the first organisation with its owner.
    ///
    /// # Errors
    /// `AlreadyExists` once there is an owner, `InvalidArgument` by field, `PermissionDenied`.
    pub async fn create_first_owner(
        &self,
        headers: &HeaderMap,
        organisation_name: String,
        name: String,
        email: String,
    ) -> Result<FirstOwner, Refusal> {
        let make = move |draft: &mut Draft<'_>, access: &Access| {
            access.operator(Action::CreateOrganisation)?;
            if let Some(first) = draft.value(FIRST_OWNER)? {
                let first = String::from_utf8_lossy(&first).into_owned();
                return Err(Refusal::new(
                    Code::AlreadyExists,
                    format!(
                        "there is an owner already, the first was {first}; make further organisations with `meridian org create` and \
                         their owners with `meridian member add --role owner`; who lost the key of an owner gets another with \
                         `meridian key create --member u_…`"
                    ),
                ));
            }
            let organisation = create(draft, "organisation_name", &organisation_name, access.now_ms)?;
            let new = NewMember { name: name.clone(), email: email.clone(), role: Role::Owner };
            let (member, key) = add(draft, &organisation.organisation_id, new, access.now_ms)?;
            Ok(FirstOwner { organisation, member, key })
        };
        self.change(Method::CreateFirstOwner, headers, make).await
    }

    /// One organisation.
    ///
    /// # Errors
    /// `PermissionDenied`; `NotFound` for the admin.
    pub async fn organisation(
        &self,
        headers: &HeaderMap,
        organisation_id: String,
    ) -> Result<Organisation, Refusal> {
        let read = move |reader: &Reader<'_>, access: &Access| {
            access.organisation(reader, Action::ReadOrganisation, &organisation_id)
        };
        self.read(Method::GetOrganisation, headers, read).await
    }

    /// The organisations that the caller may see, by id, with the token of the next page.
    ///
    /// # Errors
    /// `PermissionDenied`.
    pub async fn list_organisations(
        &self,
        headers: &HeaderMap,
        page: Page,
    ) -> Result<(Vec<Organisation>, String), Refusal> {
        let read = move |reader: &Reader<'_>, access: &Access| {
            access.somewhere(Action::ReadOrganisation)?;
            if let Some(own) = access.own_organisation() {
                let organisation = access.organisation(reader, Action::ReadOrganisation, own)?;
                let is_next = organisation.organisation_id > page.after;
                return Ok((Some(organisation).filter(|_| is_next).into_iter().collect(), String::new()));
            }
            let (found, next) = page::records(reader, ORGANISATION, &page)?;
            let read = |(id, value): &(String, Vec<u8>)| {
                access::read_organisation(&access::organisation_key(id), value)
                    .map_err(|error| unreadable(&error))
            };
            Ok((found.iter().map(read).collect::<Result<_, _>>()?, next))
        };
        self.read(Method::ListOrganisations, headers, read).await
    }

    /// Changes the name of an organisation.
    ///
    /// # Errors
    /// `InvalidArgument` by field, `PermissionDenied`; `NotFound` for the admin.
    pub async fn update_organisation(
        &self,
        headers: &HeaderMap,
        organisation_id: String,
        name: Option<String>,
    ) -> Result<Organisation, Refusal> {
        let make = move |draft: &mut Draft<'_>, access: &Access| {
            let mut organisation =
                access.organisation(draft, Action::ChangeOrganisation, &organisation_id)?;
            if let Some(name) = &name {
                named("name", name)?;
                organisation.name.clone_from(name);
            }
            put(draft, &organisation);
            Ok(organisation)
        };
        self.change(Method::UpdateOrganisation, headers, make).await
    }
}

/// Refuses what cannot be a display name.
pub(crate) fn named(field: &str, name: &str) -> Result<(), Refusal> {
    check_name(name).map_err(|problem| Refusal::invalid(field, name, problem))
}

fn create(draft: &mut Draft<'_>, field: &str, name: &str, now_ms: u64) -> Result<Organisation, Refusal> {
    named(field, name)?;
    loop {
        let organisation_id = random_id("o_").map_err(|error| no_random(&error))?;
        if draft.value(&access::organisation_key(&organisation_id))?.is_some() {
            continue;
        }
        let organisation = Organisation { organisation_id, name: name.to_owned(), created_at_ms: now_ms };
        put(draft, &organisation);
        return Ok(organisation);
    }
}

fn put(draft: &mut Draft<'_>, organisation: &Organisation) {
    draft.put(
        access::organisation_key(&organisation.organisation_id),
        access::organisation_value(organisation),
    );
}
