//! The filter of a report: text into a tree over dimensions.
//!
//! Grammar: `or := and {"or" and}`, `and := part {"and" part}`, `part := "(" or ")" | NAME OP VALUE | NAME in(VALUE
//! {, VALUE})`, OP `== != =~ !~`. A value is a bare word (no white space, quotes, parentheses, commas) or quoted with
//! `"` or `'`, where a backslash stands before a quote of that kind or a backslash and is itself otherwise, so that
//! regular expressions need no doubling. Length, depth and number of conditions are bounded; positions count characters
//! from 1. Regular expressions are compiled here once, so that a wrong one is refused before anything is asked.

use crate::plan::fields::{Dimension, names};

/// Longest filter, bytes.
const FILTER_MAX_BYTES: usize = 8192;

/// Parentheses within parentheses.
const DEPTH_MAX: usize = 20;

/// Conditions and list values together.
const VALUES_MAX: usize = 200;

/// Memory of one compiled regular expression, bytes.
const REGEX_MAX_BYTES: usize = 1 << 20;

/// A filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// All must hold; two or more.
    And(Vec<Filter>),
    /// One must hold; two or more.
    Or(Vec<Filter>),
    /// One comparison.
    Condition(Condition),
}

/// `NAME OP VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// What is compared.
    pub dimension: Dimension,
    /// How.
    pub operator: Operator,
    /// With what: one value, or more for [`Operator::In`].
    pub values: Vec<String>,
}

/// How a dimension is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`: the regular expression is found somewhere in it.
    Matches,
    /// `!~`
    NotMatches,
    /// `in(a,b)`
    In,
}

/// Why a text is no filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at character {position}: {problem}")]
pub struct FilterError {
    /// Counted from 1.
    pub position: usize,
    /// What is wrong there, and what would be right.
    pub problem: String,
}

impl Filter {
    /// Every dimension it names, repeats included.
    pub fn dimensions(&self) -> Vec<Dimension> {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter().flat_map(Self::dimensions).collect(),
            Self::Condition(condition) => vec![condition.dimension],
        }
    }

    /// Whether all rows that it lets through have the same value of this dimension.
    pub fn holds_to_one(&self, dimension: Dimension) -> bool {
        match self {
            Self::And(parts) => parts.iter().any(|part| part.holds_to_one(dimension)),
            Self::Or(_) => false,
            Self::Condition(condition) => {
                condition.dimension == dimension && condition.operator == Operator::Equal
            }
        }
    }
}

/// Reads a filter; `None` for a blank text.
pub fn parse(text: &str) -> Result<Option<Filter>, FilterError> {
    let mut parser = Parser { text, at: 0, values: 0 };
    if text.len() > FILTER_MAX_BYTES {
        return Err(parser.error(format!("the filter is longer than {FILTER_MAX_BYTES} bytes")));
    }
    parser.skip_space();
    if parser.rest().is_empty() {
        return Ok(None);
    }
    let filter = parser.or(0)?;
    if !parser.rest().is_empty() {
        return Err(parser.error(
            "expected and, or, or the end; quote a value that holds white space, quotes, parentheses or commas",
        ));
    }
    Ok(Some(filter))
}

struct Parser<'a> {
    text: &'a str,
    /// Byte position, always between characters.
    at: usize,
    values: usize,
}

impl<'a> Parser<'a> {
    fn or(&mut self, depth: usize) -> Result<Filter, FilterError> {
        let mut parts = vec![self.and(depth)?];
        while self.take_word("or") {
            parts.push(self.and(depth)?);
        }
        Ok(join(parts, Filter::Or))
    }

    fn and(&mut self, depth: usize) -> Result<Filter, FilterError> {
        let mut parts = vec![self.part(depth)?];
        while self.take_word("and") {
            parts.push(self.part(depth)?);
        }
        Ok(join(parts, Filter::And))
    }

    fn part(&mut self, depth: usize) -> Result<Filter, FilterError> {
        if depth > DEPTH_MAX {
            return Err(self.error(format!("more than {DEPTH_MAX} parentheses within one another")));
        }
        if !self.take("(") {
            return Ok(Filter::Condition(self.condition()?));
        }
        let inner = self.or(depth + 1)?;
        if !self.take(")") {
            return Err(self.error("expected and, or, or a closing parenthesis"));
        }
        Ok(inner)
    }

    fn condition(&mut self) -> Result<Condition, FilterError> {
        let start = self.at;
        let name = self.word(|c| c.is_ascii_alphanumeric() || c == '_');
        let Some(dimension) = Dimension::parse(name) else {
            let known = names(Dimension::ALL.map(Dimension::name));
            return Err(self.error_at(start, format!("{name:?} is not a dimension; use one of {known}")));
        };
        self.skip_space();
        let start = self.at;
        let operator = self
            .operator()
            .ok_or_else(|| self.error_at(start, "expected one of == != =~ !~ in(a,b) after the dimension"))?;
        let values = if operator == Operator::In { self.list()? } else { vec![self.value()?] };
        if matches!(operator, Operator::Matches | Operator::NotMatches) {
            for value in &values {
                check_regex(value).map_err(|problem| self.error_at(start, problem))?;
            }
        }
        Ok(Condition { dimension, operator, values })
    }

    fn operator(&mut self) -> Option<Operator> {
        let operators = [
            ("==", Operator::Equal),
            ("!=", Operator::NotEqual),
            ("=~", Operator::Matches),
            ("!~", Operator::NotMatches),
        ];
        for (sign, operator) in operators {
            if self.take(sign) {
                return Some(operator);
            }
        }
        let rest = self.rest();
        let is_in = rest.get(..2).is_some_and(|word| word.eq_ignore_ascii_case("in"))
            && rest[2..].trim_start().starts_with('(');
        is_in.then(|| {
            self.at += 2;
            Operator::In
        })
    }

    fn list(&mut self) -> Result<Vec<String>, FilterError> {
        self.skip_space();
        let mut values = Vec::new();
        if !self.take("(") {
            return Err(self.error("expected an opening parenthesis after in"));
        }
        loop {
            values.push(self.value()?);
            if self.take(")") {
                return Ok(values);
            }
            if !self.take(",") {
                return Err(self.error("expected a comma or a closing parenthesis in the list"));
            }
        }
    }

    fn value(&mut self) -> Result<String, FilterError> {
        self.skip_space();
        let start = self.at;
        self.values += 1;
        if self.values > VALUES_MAX {
            return Err(self.error(format!("more than {VALUES_MAX} values")));
        }
        let value = match self.rest().chars().next() {
            Some(quote @ ('"' | '\'')) => self.quoted(quote)?,
            _ => self.word(|c| !c.is_whitespace() && !"()\"',".contains(c)).to_owned(),
        };
        if self.at == start {
            return Err(self.error("expected a value; write an empty one as \"\""));
        }
        if value.chars().any(char::is_control) {
            return Err(self.error_at(start, "the value holds a control character, which no dimension does"));
        }
        self.skip_space();
        Ok(value)
    }

    fn quoted(&mut self, quote: char) -> Result<String, FilterError> {
        let start = self.at;
        self.at += quote.len_utf8();
        let mut value = String::new();
        let mut escaped = false;
        for c in self.rest().chars() {
            self.at += c.len_utf8();
            if escaped {
                if c != quote && c != '\\' {
                    value.push('\\');
                }
                value.push(c);
                escaped = false;
            } else if c == '\\' {
                escaped = true;
            } else if c == quote {
                return Ok(value);
            } else {
                value.push(c);
            }
        }
        Err(self.error_at(start, "this quote is not closed"))
    }

    fn word(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !belongs(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// Takes `and` or `or`, whatever its case, if it stands alone here.
    fn take_word(&mut self, word: &str) -> bool {
        self.skip_space();
        let rest = self.rest();
        let ends = |rest: &str| rest.starts_with(|c: char| c.is_whitespace() || c == '(');
        let found = rest.get(..word.len()).is_some_and(|found| found.eq_ignore_ascii_case(word))
            && ends(&rest[word.len()..]);
        if found {
            self.at += word.len();
            self.skip_space();
        }
        found
    }

    fn take(&mut self, sign: &str) -> bool {
        self.skip_space();
        let found = self.rest().starts_with(sign);
        if found {
            self.at += sign.len();
            self.skip_space();
        }
        found
    }

    fn skip_space(&mut self) {
        self.word(char::is_whitespace);
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn error(&self, problem: impl Into<String>) -> FilterError {
        self.error_at(self.at, problem)
    }

    fn error_at(&self, at: usize, problem: impl Into<String>) -> FilterError {
        let before = self.text.get(..at).unwrap_or(self.text);
        FilterError { position: before.chars().count() + 1, problem: problem.into() }
    }
}

fn join(mut parts: Vec<Filter>, all: impl Fn(Vec<Filter>) -> Filter) -> Filter {
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            parts.extend(last);
            all(parts)
        }
    }
}

fn check_regex(pattern: &str) -> Result<(), String> {
    let compiled = regex::RegexBuilder::new(pattern).size_limit(REGEX_MAX_BYTES).build();
    compiled.map(drop).map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "the regular expression is too large".to_owned(),
        other => {
            let text = other.to_string();
            let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
            format!("the regular expression {pattern:?} is wrong: {reason}")
        }
    })
}

#[cfg(test)]
mod tests;
