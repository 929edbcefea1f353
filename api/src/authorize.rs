//! Who calls, and whether what is asked for is theirs to see or to change.
//!
//! In: the metadata or headers of a request, then ids. Out: a [`Caller`], then the property or organisation, if `rule` lets the caller do
//! there what it wants to. Every call of both faces comes through here. Invariants: an id from outside is only ever looked up, never used;
//! of what lies outside the caller's organisation nothing is told, not even whether it exists.

use std::sync::Arc;

use configuration::replica::Records;
use configuration::stored::access::{self, Holder, Key, Organisation};
use configuration::stored::{self, NamedProperty};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use property::{KeyHash, Property};
use service::SharedClock;

use crate::history::History;
use crate::limit::CallLimits;
use crate::refuse::{Code, Refusal};

mod admin_key;
mod rule;

pub use admin_key::{AdminKeyError, admin_key};
pub use rule::{Action, Caller, Place, Rule, allows};

pub(crate) use admin_key::write_private;

/// The header of Google's clients.
const GOOGLE_KEY: &str = "x-goog-api-key";

/// What a caller proves itself with; whose it is may change between two looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// The admin key.
    Admin,
    /// A report key or a member's.
    Key(KeyHash),
}

/// Checks keys.
#[derive(Debug)]
pub struct Authorizer {
    history: History,
    admin_key: KeyHash,
    clock: SharedClock,
    rule: Rule,
    limits: CallLimits,
}

impl Authorizer {
    /// Keys are those of the configuration; the admin key is the one with this hash. Keys expire by this clock.
    pub fn new(history: History, admin_key: KeyHash, clock: SharedClock) -> Self {
        let limits = CallLimits::none(clock.clone());
        Self { history, admin_key, clock, rule: allows, limits }
    }

    /// The same for callers who may not come as often as they like.
    pub(crate) fn with_limits(self, limits: CallLimits) -> Self {
        Self { limits, ..self }
    }

    /// The same with another rule, to see that tests notice.
    #[cfg(test)]
    pub(crate) fn with_rule(self, rule: Rule) -> Self {
        Self { rule, ..self }
    }

    /// The key that these headers, or gRPC metadata, hold; whether it is anybody's, [`Self::caller_in`] tells.
    ///
    /// # Errors
    /// `Unauthenticated`.
    pub fn credential(&self, headers: &HeaderMap) -> Result<Credential, Refusal> {
        let Some(key) = key_in(headers) else {
            return Err(Refusal::new(
                Code::Unauthenticated,
                "no key: send the property's report key, a member's key or the admin key as \
                 \"authorization: Bearer KEY\" or \"x-goog-api-key: KEY\"",
            ));
        };
        if self.admin_key.accepts(key) {
            return Ok(Credential::Admin);
        }
        if key.starts_with("rk_") || key.starts_with("mk_") {
            Ok(Credential::Key(KeyHash::of(key)))
        } else {
            Err(unknown_key())
        }
    }

    /// Whose credential it is in this state. Looked up by its hash, so the time tells nothing about other keys.
    ///
    /// # Errors
    /// `Unauthenticated`: nobody's, or expired.
    pub fn caller_in(&self, records: &dyn Records, credential: Credential) -> Result<Caller, Refusal> {
        let Credential::Key(hash) = credential else { return Ok(Caller::Admin) };
        let key = access::key(records, &hash)?.ok_or_else(unknown_key)?;
        if key.is_expired(self.clock.now_ms()) {
            return Err(Refusal::new(
                Code::Unauthenticated,
                "the key has expired; an owner of the organisation makes a new one with `meridian key create`",
            ));
        }
        let Key { key_id, organisation_id, holder, .. } = key;
        match holder {
            Holder::Reports { scopes, reach } => {
                Ok(Caller::Reports { key_id, organisation_id, scopes, reach })
            }
            Holder::Member(member_id) => {
                let member =
                    access::member(records, &organisation_id, &member_id)?.ok_or_else(unknown_key)?;
                Ok(Caller::Member { organisation_id, member_id, role: member.role })
            }
        }
    }

    /// Whose credential it is, as [`Self::caller_in`] says, once for each call: one that comes more often than it may is refused.
    ///
    /// # Errors
    /// `Unauthenticated`; `RateLimited`.
    pub fn admit_in(&self, records: &dyn Records, credential: Credential) -> Result<Caller, Refusal> {
        let caller = self.caller_in(records, credential)?;
        if let Credential::Key(key) = credential {
            self.limits.call(key)?;
        }
        Ok(caller)
    }

    /// The caller that these headers, or gRPC metadata, prove.
    ///
    /// # Errors
    /// `Unauthenticated`.
    pub fn caller(&self, headers: &HeaderMap) -> Result<Caller, Refusal> {
        let credential = self.credential(headers)?;
        self.caller_in(&self.history.read()?, credential)
    }

    /// The property whose reports the caller asks for.
    ///
    /// # Errors
    /// `PermissionDenied`; `NotFound` for the admin; `RateLimited`.
    pub fn reported(&self, headers: &HeaderMap, property_id: &str) -> Result<Arc<Property>, Refusal> {
        let credential = self.credential(headers)?;
        let reader = self.history.read()?;
        let caller = self.admit_in(&reader, credential)?;
        let named = self.property(&reader, &caller, Action::ReadReports, property_id)?;
        if caller != Caller::Admin {
            self.limits.report(property_id)?;
        }
        Ok(Arc::new(named.property))
    }

    /// The property, if the caller may do this to it.
    ///
    /// # Errors
    /// `PermissionDenied`, alike for one that is not there; `NotFound` for the admin.
    pub fn property(
        &self,
        records: &dyn Records,
        caller: &Caller,
        action: Action,
        property_id: &str,
    ) -> Result<NamedProperty, Refusal> {
        if property_id.is_empty() {
            return Err(Refusal::invalid("property_id", "", "but it is needed: name the property, \"p_…\""));
        }
        let found = stored::property(records, property_id)?;
        match found {
            Some(named) if self.allows_property(caller, action, &named) => Ok(named),
            None if *caller == Caller::Admin => Err(no_property(property_id)),
            Some(_) | None => Err(denied(caller, action, "property_id", property_id)),
        }
    }

    /// Whether the caller may do this to a property.
    pub fn allows_property(&self, caller: &Caller, action: Action, named: &NamedProperty) -> bool {
        let NamedProperty { property, organisation_id, .. } = named;
        (self.rule)(caller, action, Place { organisation_id, property_id: Some(&property.property_id) })
    }

    /// The organisation, if the caller may do this there; an empty id means the caller's own.
    ///
    /// # Errors
    /// `PermissionDenied`, alike for one that is not there; `NotFound` for the admin, and `InvalidArgument` for an empty id.
    pub fn organisation(
        &self,
        records: &dyn Records,
        caller: &Caller,
        action: Action,
        organisation_id: &str,
    ) -> Result<Organisation, Refusal> {
        let id = match caller {
            Caller::Member { organisation_id: own, .. } if organisation_id.is_empty() => own.as_str(),
            _ => organisation_id,
        };
        if id.is_empty() && *caller == Caller::Admin {
            let problem = "but it is needed with the admin key: name the organisation, \"o_…\"";
            return Err(Refusal::invalid("organisation_id", "", problem));
        }
        let is_allowed = self.allows_in(caller, action, id);
        match access::organisation(records, id)? {
            Some(organisation) if is_allowed => Ok(organisation),
            None if *caller == Caller::Admin => Err(no_organisation(id)),
            Some(_) | None => Err(denied(caller, action, "organisation_id", id)),
        }
    }

    /// Whether the caller may do this in exactly this organisation; empty: the operator's.
    pub fn allows_in(&self, caller: &Caller, action: Action, organisation_id: &str) -> bool {
        (self.rule)(caller, action, Place { organisation_id, property_id: None })
    }

    /// Whether the caller may do this there.
    pub(crate) fn allows_at(&self, caller: &Caller, action: Action, place: Place<'_>) -> bool {
        (self.rule)(caller, action, place)
    }

    /// Refuses who may not do this to what belongs to no organisation.
    ///
    /// # Errors
    /// `PermissionDenied`.
    pub fn operator(&self, caller: &Caller, action: Action) -> Result<(), Refusal> {
        if self.allows_in(caller, action, "") {
            Ok(())
        } else {
            Err(denied(caller, action, "organisation_id", ""))
        }
    }

    /// Refuses who may do this nowhere, for lists.
    ///
    /// # Errors
    /// `PermissionDenied`.
    pub fn somewhere(&self, caller: &Caller, action: Action) -> Result<(), Refusal> {
        if rule::allows_somewhere(caller, action) {
            Ok(())
        } else {
            Err(denied(caller, action, "organisation_id", ""))
        }
    }
}

/// Says what would be right; the same whether the thing is another's or is not there.
pub(crate) fn denied(caller: &Caller, action: Action, field: &str, value: &str) -> Refusal {
    let problem = match (caller, action.least_role()) {
        (_, None) => "but this takes the admin key".to_owned(),
        (Caller::Reports { .. }, Some(least)) => match action.scope() {
            Some(scope) => format!(
                "which this report key does not reach with the scope {:?}; use a report key that does, or the key of a \
                 member of its organisation, or the admin key",
                scope.as_str()
            ),
            None => format!(
                "but report keys only read; use the key of a member of its organisation who is {}, or the admin key",
                at_least(least)
            ),
        },
        (_, Some(least)) => format!(
            "which this key may not do that to; use the key of a member of its organisation who is {}, or the admin key",
            at_least(least)
        ),
    };
    Refusal { code: Code::PermissionDenied, ..Refusal::invalid(field, value, problem) }
}

fn at_least(role: access::Role) -> &'static str {
    match role {
        access::Role::Viewer => "viewer, editor or owner",
        access::Role::Editor => "editor or owner",
        access::Role::Owner => "owner",
    }
}

fn unknown_key() -> Refusal {
    Refusal::new(
        Code::Unauthenticated,
        "the key is not known: use a property's report_key (\"rk_…\"), a member's key (\"mk_…\") or the admin key (\"ak_…\")",
    )
}

/// Nobody has this id.
pub(crate) fn no_property(property_id: &str) -> Refusal {
    let problem = "which does not exist; `meridian property list` shows those that do";
    Refusal { code: Code::NotFound, ..Refusal::invalid("property_id", property_id, problem) }
}

fn no_organisation(organisation_id: &str) -> Refusal {
    let problem = "which does not exist; `meridian org list` shows those that do";
    Refusal { code: Code::NotFound, ..Refusal::invalid("organisation_id", organisation_id, problem) }
}

fn key_in(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| {
        let (scheme, key) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    });
    let google = || headers.get(GOOGLE_KEY).and_then(|value| value.to_str().ok()).map(str::trim);
    bearer.or_else(google).filter(|key| !key.is_empty())
}

#[cfg(test)]
mod tests;
