//! An INSERT's text apart from its data.
//!
//! In: bytes that begin with a statement; out: for an INSERT, the head without FORMAT, the format, and where the data begins.
//! Only what ClickHouse's lexer would skip is skipped (comments, quoted text, brackets), so that a `FORMAT` in a name, a
//! literal or the data is never taken for the clause. Anything but an INSERT with data is left to the engine's own parser.

use std::ops::Range;

/// An INSERT that takes data.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Insert {
    /// The statement up to FORMAT or VALUES, without trailing space, comment or semicolon.
    pub(crate) head: Vec<u8>,
    /// The format, `None` if the text names none.
    pub(crate) format: Option<String>,
    /// Where the data begins in the text.
    pub(crate) data: usize,
    /// The format is the VALUES keyword.
    pub(crate) inline_values: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word,
    Quoted,
    Symbol(u8),
}

/// Splits an INSERT; `None` for every other statement, and for INSERT … SELECT.
pub(crate) fn insert(text: &[u8]) -> Option<Insert> {
    let mut lexer = Lexer { text, at: 0 };
    let (_, first) = lexer.token().filter(|(token, _)| *token == Token::Word)?;
    if !is(text, &first, "INSERT") {
        return None;
    }
    let mut end = first.end;
    let mut depth = 0_usize;
    // After INTO, TABLE, FUNCTION and a dot comes a name, whatever word it is.
    let mut name_next = false;
    while let Some((token, range)) = lexer.token() {
        match token {
            Token::Symbol(b'(') => depth += 1,
            Token::Symbol(b')') => depth = depth.saturating_sub(1),
            Token::Symbol(b';') if depth == 0 => break,
            Token::Word if depth == 0 && !name_next => {
                if ["SELECT", "WITH", "FROM", "WATCH"].iter().any(|word| is(text, &range, word)) {
                    return None;
                }
                if is(text, &range, "VALUES") {
                    let head = text.get(..end)?.to_vec();
                    return Some(Insert {
                        head,
                        format: Some("Values".into()),
                        data: range.end,
                        inline_values: true,
                    });
                }
                if is(text, &range, "FORMAT") {
                    return with_format(text, end, &mut lexer);
                }
            }
            _ => {}
        }
        name_next = token == Token::Symbol(b'.')
            || (token == Token::Word
                && ["INTO", "TABLE", "FUNCTION"].iter().any(|word| is(text, &range, word)));
        end = range.end;
    }
    Some(Insert { head: text.get(..end)?.to_vec(), format: None, data: text.len(), inline_values: false })
}

/// Behind the word FORMAT: the format's name, then the data after spaces and at most one line end, as on a server.
fn with_format(text: &[u8], head_end: usize, lexer: &mut Lexer<'_>) -> Option<Insert> {
    let (token, name) = lexer.token()?;
    if token != Token::Word {
        return None;
    }
    let format = String::from_utf8_lossy(text.get(name.clone())?).into_owned();
    let mut data = name.end;
    let byte = |at: usize| text.get(at).copied();
    if byte(data) == Some(b';') {
        data += 1;
    }
    while matches!(byte(data), Some(b' ' | b'\t' | 0x0c)) {
        data += 1;
    }
    if byte(data) == Some(b'\r') {
        data += 1;
    }
    if byte(data) == Some(b'\n') {
        data += 1;
    }
    Some(Insert { head: text.get(..head_end)?.to_vec(), format: Some(format), data, inline_values: false })
}

fn is(text: &[u8], range: &Range<usize>, word: &str) -> bool {
    text.get(range.clone()).is_some_and(|found| found.eq_ignore_ascii_case(word.as_bytes()))
}

/// Significant tokens with their place.
struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
}

impl Lexer<'_> {
    fn token(&mut self) -> Option<(Token, Range<usize>)> {
        self.skip_blank();
        let start = self.at;
        let first = *self.text.get(start)?;
        self.at += 1;
        let token = match first {
            b'\'' | b'"' | b'`' => {
                self.skip_quoted(first);
                Token::Quoted
            }
            byte if is_word(byte) => {
                while self.text.get(self.at).copied().is_some_and(is_word) {
                    self.at += 1;
                }
                Token::Word
            }
            byte => Token::Symbol(byte),
        };
        Some((token, start..self.at))
    }

    fn skip_blank(&mut self) {
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            if rest.first().is_some_and(|byte| byte.is_ascii_whitespace() || *byte == 0x0b) {
                self.at += 1;
            } else if rest.starts_with(b"--") || rest.starts_with(b"#!") || rest.starts_with(b"# ") {
                self.at += rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
            } else if rest.starts_with(b"/*") {
                let end = rest.windows(2).skip(2).position(|pair| pair == b"*/");
                self.at += end.map_or(rest.len(), |end| end + 4);
            } else {
                return;
            }
        }
    }

    /// To behind the closing quote; a doubled quote reads as two quoted tokens, which is the same here.
    fn skip_quoted(&mut self, quote: u8) {
        while let Some(byte) = self.text.get(self.at).copied() {
            self.at += 1;
            if byte == b'\\' {
                self.at += 1;
            } else if byte == quote {
                return;
            }
        }
        self.at = self.text.len();
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

#[cfg(test)]
mod tests;
