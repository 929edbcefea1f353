//! Pages of lists: how many, and where the page before ended.
//!
//! In: `page_size` and `page_token` of a request. Out: a limit and a place, or a refusal by field. A token is the id, or the place in the
//! log, that the page before ended with: it opens nothing, for each list checks again what its caller may see.

use configuration::replica::{KeyValue, Reader};

use crate::history::unreadable;
use crate::refuse::Refusal;

/// Most things of a page, and what is taken for 0.
const PAGE_MAX: u32 = 1_000;

/// Longest token, bytes.
const TOKEN_MAX_BYTES: usize = 64;

/// Which page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// At most so many.
    pub limit: usize,
    /// Ends the page before; empty: the first page.
    pub after: String,
}

impl Page {
    /// Of lists by id.
    pub(crate) fn of_ids(page_size: u32, page_token: &str) -> Result<Self, Refusal> {
        Self::new(page_size, page_token, (PAGE_MAX, PAGE_MAX))
    }

    /// With the size that is taken for 0, and the most.
    pub(crate) fn new(page_size: u32, page_token: &str, (usual, most): (u32, u32)) -> Result<Self, Refusal> {
        if page_size > most {
            let problem = format!("which is more than a page has; ask for 1 to {most}, or 0 for {usual}");
            return Err(Refusal::invalid("page_size", &page_size.to_string(), problem));
        }
        let is_token = page_token.len() <= TOKEN_MAX_BYTES
            && page_token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_/-".contains(&byte));
        if !is_token {
            return Err(bad_token(page_token));
        }
        let limit = usize::try_from(if page_size == 0 { usual } else { page_size }).unwrap_or(usize::MAX);
        Ok(Self { limit, after: page_token.to_owned() })
    }
}

/// Records of a page by the rest of their keys, and the token of the next page; empty: there is none.
pub(crate) type Found = (Vec<KeyValue>, String);

/// The records of a page whose keys begin so.
pub(crate) fn records(reader: &Reader<'_>, prefix: &str, page: &Page) -> Result<Found, Refusal> {
    let after = format!("{prefix}{}", page.after);
    let found =
        reader.page(prefix, &after, page.limit.saturating_add(1)).map_err(|error| unreadable(&error))?;
    let rest = |(key, value): KeyValue| Some((key.strip_prefix(prefix)?.to_owned(), value));
    Ok(cut(found.into_iter().filter_map(rest).collect(), page.limit, |(id, _value)| id.clone()))
}

/// Leaves so many, and the token behind them if there are more.
pub(crate) fn cut<T>(mut all: Vec<T>, limit: usize, token: impl Fn(&T) -> String) -> (Vec<T>, String) {
    let has_more = all.len() > limit;
    all.truncate(limit);
    let next = all.last().filter(|_| has_more).map(token).unwrap_or_default();
    (all, next)
}

/// A token that no page ended with.
pub(crate) fn bad_token(page_token: &str) -> Refusal {
    let problem =
        "which is none; give the next_page_token of the page before, or leave it out for the first page";
    Refusal::invalid("page_token", page_token, problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_tokens_are_limited_by_field() {
        let page = |size, token| Page::of_ids(size, token).map(|page| (page.limit, page.after));
        assert_eq!(page(0, ""), Ok((1_000, String::new())));
        assert_eq!(page(1, "p_abc"), Ok((1, "p_abc".into())));
        let field = |size, token| page(size, token).unwrap_err().field.unwrap();
        assert_eq!(field(1_001, ""), "page_size");
        assert_eq!(field(1, "\u{10ffff}"), "page_token");
        assert_eq!(field(1, &"x".repeat(65)), "page_token");
    }
}
