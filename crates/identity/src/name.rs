//! Names of services: role and id, and their form as a DNS name.
//!
//! `{id}.{role}.meridian.internal` is one service, `{role}.meridian.internal` any service of that role (a client that
//! finds its hubs by address only checks the latter). `internal` is the top-level name that ICANN keeps out of the
//! public DNS for uses like this. An id is 1–63 of `[a-z0-9-]`, so that it is one DNS label and cannot hold a dot.

use std::fmt;
use std::str::FromStr;

/// The domain of all identities.
pub const DOMAIN: &str = "meridian.internal";

/// The longest id, in bytes: a DNS label (RFC 1035, 2.3.4).
pub const ID_MAX_BYTES: usize = 63;

/// What a service does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Collects hits.
    Edge,
    /// Stores batches.
    Hub,
    /// Loads the warehouse.
    Loader,
    /// Answers reports.
    Api,
}

/// One service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    role: Role,
    id: String,
}

/// Why a name or a certificate does not say who someone is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The id is empty, too long or has other characters.
    #[error("the id {0:?} is not 1 to {ID_MAX_BYTES} of the characters a-z, 0-9 and -")]
    Id(String),
    /// The name is not of the form `{id}.{role}.meridian.internal`.
    #[error(
        "{0:?} is not the name of a service; it must be ID.ROLE.{DOMAIN} with the role edge, hub, loader or api"
    )]
    Name(String),
    /// There is no certificate at all.
    #[error("the peer showed no certificate")]
    NoCertificate,
    /// The certificate cannot be read.
    #[error("the peer's certificate cannot be read: {0}")]
    Unreadable(String),
    /// The certificate names no service.
    #[error("the peer's certificate names no service: none of its DNS names is ID.ROLE.{DOMAIN}")]
    NoIdentity,
    /// The certificate names more than one service.
    #[error("the peer's certificate names more than one service: {0} and {1}")]
    Ambiguous(Identity, Identity),
    /// The peer is known, but has another role than this port is for.
    #[error("the peer is {found}, but only a service with the role {expected} may do this")]
    WrongRole {
        /// Who it is.
        found: Identity,
        /// The role it would need.
        expected: Role,
    },
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Edge, Self::Hub, Self::Loader, Self::Api];

    /// The role as a DNS label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Edge => "edge",
            Self::Hub => "hub",
            Self::Loader => "loader",
            Self::Api => "api",
        }
    }

    /// The DNS name that every service of this role has beside its own.
    pub fn dns_name(self) -> String {
        format!("{self}.{DOMAIN}")
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Identity {
    /// Checks `id`.
    pub fn new(role: Role, id: impl Into<String>) -> Result<Self, IdentityError> {
        let id = id.into();
        let fits = (1..=ID_MAX_BYTES).contains(&id.len());
        if fits && id.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-')) {
            Ok(Self { role, id })
        } else {
            Err(IdentityError::Id(id))
        }
    }

    /// What the service does.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Which of its role it is.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// `{id}.{role}.meridian.internal`.
    pub fn dns_name(&self) -> String {
        self.to_string()
    }

    /// The identity itself if it has the role `expected`.
    pub fn expect_role(self, expected: Role) -> Result<Self, IdentityError> {
        if self.role == expected { Ok(self) } else { Err(IdentityError::WrongRole { found: self, expected }) }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{DOMAIN}", self.id, self.role)
    }
}

impl FromStr for Identity {
    type Err = IdentityError;

    fn from_str(name: &str) -> Result<Self, IdentityError> {
        let not_a_name = || IdentityError::Name(name.to_owned());
        let (id, rest) = name.split_once('.').ok_or_else(not_a_name)?;
        let role = Role::ALL.into_iter().find(|role| role.dns_name() == rest).ok_or_else(not_a_name)?;
        Self::new(role, id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_and_print() {
        let long = "a".repeat(63);
        for (name, role, id) in [
            ("fra-1.edge.meridian.internal", Role::Edge, "fra-1"),
            ("1.hub.meridian.internal", Role::Hub, "1"),
            ("l.loader.meridian.internal", Role::Loader, "l"),
            (&format!("{long}.api.meridian.internal"), Role::Api, &long),
        ] {
            let identity: Identity = name.parse().unwrap();
            assert_eq!((identity.role(), identity.id()), (role, id));
            assert_eq!(identity.to_string(), name);
        }
    }

    #[test]
    fn other_names_are_refused() {
        let too_long = format!("{}.edge.meridian.internal", "a".repeat(64));
        for name in [
            "",
            "edge",
            "edge.meridian.internal",
            ".edge.meridian.internal",
            "Fra.edge.meridian.internal",
            "fr_a.edge.meridian.internal",
            "a.b.edge.meridian.internal",
            "a.warehouse.meridian.internal",
            "a.edge.meridian.internal.",
            "a.edge.meridian.internal.example.com",
            &too_long,
        ] {
            assert!(name.parse::<Identity>().is_err(), "{name:?}");
        }
    }

    #[test]
    fn wrong_role_is_told_apart() {
        let edge = Identity::new(Role::Edge, "fra").unwrap();
        assert_eq!(edge.clone().expect_role(Role::Edge), Ok(edge.clone()));
        let error = edge.expect_role(Role::Hub).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the peer is fra.edge.meridian.internal, but only a service with the role hub may do this"
        );
    }
}
