//! Who may do what: the one table of it.
//!
//! In: a caller, an action, the place where it is to be done. Out: yes or no. Nothing is looked up here, and nothing else in the api
//! decides it. docs/configuration.md has the table for people, `tests/permissions.tsv` has it written by hand.

use configuration::stored::access::{Reach, Role, Scope};

/// Someone whose key is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Holds the admin key.
    Admin,
    /// Holds a key of a member.
    Member {
        /// `o_…`
        organisation_id: String,
        /// `u_…`
        member_id: String,
        /// What the member may do.
        role: Role,
    },
    /// Holds a report key.
    Reports {
        /// `k_…`
        key_id: String,
        /// `o_…`; empty: the operator's.
        organisation_id: String,
        /// What the key may do.
        scopes: Vec<Scope>,
        /// Where.
        reach: Reach,
    },
}

/// What a caller wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Run a report of a property.
    ReadReports,
    /// See a property, its rules and aliases.
    ReadProperty,
    /// Make a property in an organisation.
    CreateProperty,
    /// Change a property, its rules and aliases.
    ChangeProperty,
    /// Say how many hits are taken of a property.
    SetQuota,
    /// Change for how long what was counted of a property is kept: a shorter time destroys it.
    ChangeRetention,
    /// Delete a property with all that was counted.
    DeleteProperty,
    /// Erase visitors of a property, and see how far erasures are.
    EraseVisitors,
    /// Replace the API secret of a property.
    RotateApiSecret,
    /// See an organisation.
    ReadOrganisation,
    /// Change an organisation.
    ChangeOrganisation,
    /// See the members of an organisation.
    ReadMembers,
    /// Add, change and remove members of an organisation.
    ChangeMembers,
    /// See the keys of an organisation.
    ReadKeys,
    /// Make, replace and revoke keys of an organisation.
    ChangeKeys,
    /// See who changed what in an organisation.
    ReadAudit,
    /// Make organisations.
    CreateOrganisation,
    /// Erase what is past its retention.
    RunRetention,
}

/// What an action needs.
struct Needs {
    /// The least role of a member; `None`: no member.
    role: Option<Role>,
    /// The scope of a report key; `None`: no report key.
    scope: Option<Scope>,
}

impl Action {
    /// The table. The admin key may do everything.
    fn needs(self) -> Needs {
        let (role, scope) = match self {
            Self::ReadReports => (Some(Role::Viewer), Some(Scope::Reports)),
            Self::ReadProperty => (Some(Role::Viewer), Some(Scope::ConfigRead)),
            Self::ReadOrganisation => (Some(Role::Viewer), None),
            Self::CreateProperty | Self::ChangeProperty => (Some(Role::Editor), None),
            Self::ChangeRetention
            | Self::DeleteProperty
            | Self::EraseVisitors
            | Self::RotateApiSecret
            | Self::ChangeOrganisation
            | Self::ReadMembers
            | Self::ChangeMembers
            | Self::ReadKeys
            | Self::ChangeKeys
            | Self::ReadAudit => (Some(Role::Owner), None),
            Self::CreateOrganisation | Self::RunRetention | Self::SetQuota => (None, None),
        };
        Needs { role, scope }
    }

    /// The least role that a member needs for it; `None`: it takes the admin key.
    pub(super) fn least_role(self) -> Option<Role> {
        self.needs().role
    }

    /// The scope that a report key needs for it; `None`: it takes no report key.
    pub(super) fn scope(self) -> Option<Scope> {
        self.needs().scope
    }
}

/// Where something is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// `o_…`; empty: the operator's.
    pub organisation_id: &'a str,
    /// `p_…`; `None`: not in one property.
    pub property_id: Option<&'a str>,
}

/// Decides whether a caller may do something there.
pub type Rule = fn(&Caller, Action, Place<'_>) -> bool;

/// The rule.
pub fn allows(caller: &Caller, action: Action, place: Place<'_>) -> bool {
    match caller {
        Caller::Admin => true,
        Caller::Member { organisation_id, role, .. } => {
            let is_high_enough = action.least_role().is_some_and(|least| *role >= least);
            // Nobody is a member of what belongs to no organisation.
            !organisation_id.is_empty() && organisation_id == place.organisation_id && is_high_enough
        }
        Caller::Reports { organisation_id, scopes, reach, .. } => {
            let has_scope = action.scope().is_some_and(|scope| scopes.contains(&scope));
            let reaches = place.property_id.is_some_and(|property_id| match reach {
                Reach::These(property_ids) => property_ids.iter().any(|reached| reached == property_id),
                Reach::All => !organisation_id.is_empty(),
            });
            organisation_id == place.organisation_id && has_scope && reaches
        }
    }
}

/// Whether there is any place where the caller may do this: who may nowhere is refused, and not shown an empty list.
pub(super) fn allows_somewhere(caller: &Caller, action: Action) -> bool {
    match caller {
        Caller::Admin => true,
        Caller::Member { role, .. } => action.least_role().is_some_and(|least| *role >= least),
        Caller::Reports { scopes, .. } => action.scope().is_some_and(|scope| scopes.contains(&scope)),
    }
}
