//! Parameters of a query or a form, as protocols with flat names send them: borrowed, in their order.

use std::borrow::Cow;

use url::form_urlencoded;

/// Parameters by name. Of several with one name the last counts, as in the servers that clients were written for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    /// Parses `a=1&b=2`; a leading `?` is allowed.
    pub(crate) fn parse(text: &'a [u8]) -> Self {
        let text = text.strip_prefix(b"?").unwrap_or(text);
        Self(form_urlencoded::parse(text).collect())
    }

    /// Of pairs.
    pub(crate) fn of(pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>) -> Self {
        Self(pairs)
    }

    /// These parameters, then those of `more`, which win.
    pub(crate) fn with(&self, more: Self) -> Self {
        Self(self.0.iter().cloned().chain(more.0).collect())
    }

    /// A parameter; an empty one counts as absent.
    pub(crate) fn get(&self, name: &str) -> Option<Cow<'a, str>> {
        let (_, value) = self.0.iter().rev().find(|(key, _)| key == name)?;
        (!value.is_empty()).then(|| value.clone())
    }

    /// The first of these parameters that there is.
    pub(crate) fn first(&self, names: &[&str]) -> Option<Cow<'a, str>> {
        names.iter().find_map(|name| self.get(name))
    }

    /// A whole number from 0.
    pub(crate) fn whole(&self, name: &str) -> Option<u64> {
        self.get(name)?.trim().parse().ok()
    }

    /// Whether it is `1` or `true`.
    pub(crate) fn flag(&self, name: &str) -> bool {
        matches!(self.get(name).as_deref(), Some("1" | "true"))
    }

    /// All parameters, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Cow<'a, str>)> {
        self.0.iter().map(|(key, value)| (key.as_ref(), value))
    }
}
