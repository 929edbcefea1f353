//! Path templates of `google.api.http`: `/v1/properties/{property_id}/rules`, `/v1/properties/{property_id}:archive`.
//!
//! In: a template of a `.proto` file, then paths of requests. Out: the values that a path gives the template's variables,
//! percent-decoded. A variable is one whole segment that is not empty; the forms of Google's grammar that match several
//! segments are refused when the template is read, before a request can meet them.

use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;

/// A path with places for fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    segments: Vec<Segment>,
    verb: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(String),
    /// The path of a field, `alias.id`.
    Variable(String),
}

impl Template {
    /// The fields it has places for.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Variable(field) => Some(field.as_str()),
            Segment::Literal(_) => None,
        })
    }

    /// The fields and their values in a path; `None` if the path is another one.
    pub fn values(&self, path: &str) -> Option<Vec<(&str, String)>> {
        let path = path.strip_prefix('/')?;
        let path = match &self.verb {
            Some(verb) => path.strip_suffix(verb.as_str())?.strip_suffix(':')?,
            None => path,
        };
        let mut parts = path.split('/');
        let mut values = Vec::new();
        for segment in &self.segments {
            let part = percent_decode_str(parts.next()?).decode_utf8().ok()?;
            match segment {
                Segment::Literal(literal) if *literal == part => {}
                Segment::Variable(field) if !part.is_empty() => {
                    values.push((field.as_str(), part.into_owned()));
                }
                _ => return None,
            }
        }
        parts.next().is_none().then_some(values)
    }

    /// Sorts before the templates that match its paths too: verbs before variables that may hold a colon, literals
    /// before variables.
    pub(super) fn rank(&self) -> (bool, Vec<bool>) {
        let variables = self.segments.iter().map(|segment| matches!(segment, Segment::Variable(_)));
        (self.verb.is_none(), variables.collect())
    }

    /// Equal for templates that match the same paths.
    pub(super) fn shape(&self) -> String {
        self.render(|_field| "{}".to_owned())
    }

    fn render(&self, variable: impl Fn(&str) -> String) -> String {
        let segments = self.segments.iter().map(|segment| match segment {
            Segment::Literal(literal) => format!("/{literal}"),
            Segment::Variable(field) => format!("/{}", variable(field)),
        });
        let verb = self.verb.iter().map(|verb| format!(":{verb}"));
        segments.chain(verb).collect()
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(|field| format!("{{{field}}}")))
    }
}

impl FromStr for Template {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = |part: &str| {
            format!(
                "its path {text:?} has the part {part:?}; a part is a word or {{field}}, and only the last may have a :verb"
            )
        };
        let path =
            text.strip_prefix('/').ok_or_else(|| format!("its path {text:?} does not begin with /"))?;
        let (path, verb) = match path.rsplit_once(':') {
            Some((path, verb)) if !verb.contains('}') => (path, Some(verb)),
            _ => (path, None),
        };
        let is_word = |part: &str| !part.is_empty() && !part.contains(['{', '}', '*', '=', ':', '/', '%']);
        let segments = path.split('/').map(|part| {
            let variable = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
            match variable.map(|variable| variable.strip_suffix("=*").unwrap_or(variable)) {
                Some(field) if is_word(field) => Ok(Segment::Variable(field.to_owned())),
                None if is_word(part) => Ok(Segment::Literal(part.to_owned())),
                _ => Err(refuse(part)),
            }
        });
        if let Some(verb) = verb.filter(|verb| !is_word(verb)) {
            return Err(refuse(verb));
        }
        Ok(Self { segments: segments.collect::<Result<_, _>>()?, verb: verb.map(str::to_owned) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_give_the_variables_their_values() {
        for (template, path, expected) in [
            ("/v1/a", "/v1/a", Some(vec![])),
            ("/v1/a", "/v1/a/", None),
            ("/v1/a", "/v1", None),
            ("/v1/a", "/v1/A", None),
            ("/v1/{id}", "/v1/7", Some(vec![("id", "7")])),
            ("/v1/{id=*}", "/v1/7", Some(vec![("id", "7")])),
            ("/v1/{id}", "/v1/", None),
            ("/v1/{id}", "/v1/a%2Fb%20c", Some(vec![("id", "a/b c")])),
            ("/v1/{id}", "/v1/%FF", None),
            ("/v1/{a.b}/x/{c}", "/v1/1/x/2", Some(vec![("a.b", "1"), ("c", "2")])),
            ("/v1/{id}:close", "/v1/7:close", Some(vec![("id", "7")])),
            ("/v1/{id}:close", "/v1/7", None),
            ("/v1/a:close", "/v1/a:close", Some(vec![])),
        ] {
            let parsed: Template = template.parse().unwrap();
            let expected = expected.map(|values| {
                values.into_iter().map(|(field, value)| (field, value.to_owned())).collect::<Vec<_>>()
            });
            assert_eq!(parsed.values(path), expected, "{template} {path}");
        }
    }

    #[test]
    fn templates_it_cannot_match_are_refused() {
        for text in
            ["v1/a", "/", "/v1//a", "/v1/{}", "/v1/{a=**}", "/v1/{a=b/*}", "/v1/*", "/v1/x{a}", "/v1/a:"]
        {
            assert!(text.parse::<Template>().is_err(), "{text}");
        }
        let said = "/v1/{name=a/*}".parse::<Template>().unwrap_err();
        assert!(said.contains("\"/v1/{name=a/*}\""), "{said}");
    }

    #[test]
    fn literals_and_verbs_go_before_variables() {
        let mut templates =
            ["/v1/{id}", "/v1/new", "/v1/{id}:close"].map(|text| text.parse::<Template>().unwrap());
        templates.sort_by_key(Template::rank);
        assert_eq!(templates.map(|template| template.to_string()), ["/v1/{id}:close", "/v1/new", "/v1/{id}"]);
    }
}
