//! Aliases: what other products call a site.
//!
//! In: the fields of an alias. Out: one that can be looked up. That it belongs to one property only is decided where it is stored.

use crate::model::check_hostname;

/// Longest id of a site, bytes.
const ID_BYTES: usize = 200;

/// What another product calls a site.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Alias {
    /// The protocol, such as `ga4`.
    pub protocol: String,
    /// Its id of the site: `G-…`, a domain, a number.
    pub id: String,
    /// Host name of the pages, lower case, where ids of the protocol are not unique by nature; otherwise empty.
    pub hostname: String,
}

/// An alias and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedAlias {
    /// The alias.
    pub alias: Alias,
    /// `p_…`
    pub property_id: String,
}

/// Why an alias cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} is {value:?}, {problem}")]
pub struct AliasError {
    /// The field.
    pub field: &'static str,
    /// Its value.
    pub value: String,
    /// What is wrong, and what would be right.
    pub problem: String,
}

impl Alias {
    /// Checks its fields.
    ///
    /// # Errors
    /// With the field that cannot be used.
    pub fn check(&self) -> Result<(), AliasError> {
        let invalid =
            |field, value: &str, problem: String| AliasError { field, value: value.to_owned(), problem };
        if !(1..=ID_BYTES).contains(&self.id.len()) || self.id.chars().any(char::is_control) {
            let problem = format!(
                "which is not 1 to {ID_BYTES} printable bytes; write the site's id as the client sends it"
            );
            return Err(invalid("id", &self.id, problem));
        }
        if !self.hostname.is_empty() {
            check_hostname(&self.hostname)
                .map_err(|problem| invalid("hostname", &self.hostname, problem.to_owned()))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_short_and_printable_and_host_names_are_names() {
        let alias = |id: &str, hostname: &str| Alias {
            protocol: "matomo".into(),
            id: id.into(),
            hostname: hostname.into(),
        };
        assert_eq!(alias("1", "shop.example").check(), Ok(()));
        for (bad, field) in [
            (alias("", "shop.example"), "id"),
            (alias(&"x".repeat(201), ""), "id"),
            (alias("a\nb", ""), "id"),
            (alias("1", "https://shop.example"), "hostname"),
        ] {
            assert_eq!(bad.check().unwrap_err().field, field);
        }
    }
}
