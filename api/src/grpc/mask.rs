//! Which fields of an update are meant (google.aip.dev/134).
//!
//! In: the mask of the request and the fields that can be changed. Out: for each whether it is. Without a mask those are meant that are
//! not empty; a name in a mask that is none of the fields is refused.

use prost_types::FieldMask;

use crate::refuse::Refusal;

/// The fields that are meant.
pub(super) struct Meant {
    paths: Vec<String>,
}

impl Meant {
    /// `fields` are those that can be changed.
    pub(super) fn of(mask: Option<FieldMask>, fields: &[&str]) -> Result<Self, Refusal> {
        let paths = mask.unwrap_or_default().paths;
        match paths.iter().find(|path| !fields.contains(&path.as_str())) {
            Some(unknown) => {
                let problem = format!("which cannot be changed here; the fields are {}", fields.join(", "));
                Err(Refusal::invalid("update_mask", unknown, problem))
            }
            None => Ok(Self { paths }),
        }
    }

    /// The value, if its field is meant.
    pub(super) fn text(&self, field: &str, value: String) -> Option<String> {
        self.is(field, !value.is_empty()).then_some(value)
    }

    /// Whether a field is meant that has a value, or has none.
    pub(super) fn is(&self, field: &str, has_value: bool) -> bool {
        if self.paths.is_empty() { has_value } else { self.paths.iter().any(|path| path == field) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_says_which_fields_and_none_those_with_values() {
        let mask =
            |paths: &[&str]| FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() };
        for (named, name, email) in [
            (None, Some("A"), None),
            (Some(mask(&[])), Some("A"), None),
            (Some(mask(&["email"])), None, Some("")),
            (Some(mask(&["email", "name"])), Some("A"), Some("")),
        ] {
            let meant = Meant::of(named, &["name", "email"]).unwrap();
            assert_eq!(meant.text("name", "A".into()).as_deref(), name);
            assert_eq!(meant.text("email", String::new()).as_deref(), email);
        }
        let refusal = Meant::of(Some(mask(&["name", "created_at"])), &["name"]).err().unwrap();
        assert_eq!(
            refusal.message,
            "update_mask is \"created_at\", which cannot be changed here; the fields are name"
        );
    }
}
