//! Each way a configuration file can be wrong, and the sentence it gets.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::*;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Sample {
    listen: String,
    wal: Wal,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Wal {
    gather_ms: u64,
}

impl Default for Sample {
    fn default() -> Self {
        Self { listen: "127.0.0.1:0".into(), wal: Wal::default() }
    }
}

impl Default for Wal {
    fn default() -> Self {
        Self { gather_ms: 1 }
    }
}

#[test]
fn wrong_files_are_refused_with_file_line_and_field() {
    let cases = [
        ("", "configuration file edge.toml is empty"),
        ("# only a comment\n\n", "configuration file edge.toml is empty"),
        ("listen = \"a\"\nlisten_on = \"b\"\n", "edge.toml, line 2: unknown field `listen_on`"),
        ("[wal]\n\ngather_ms = \"1\"\n", "edge.toml, line 3, wal.gather_ms: invalid type: string \"1\""),
        ("[wal]\ngather_ms = -1\n", "edge.toml, line 2, wal.gather_ms: "),
        ("[wal]\nfsync = false\n", "edge.toml, line 2, wal: unknown field `fsync`"),
        ("listen = \n", "edge.toml, line 1"),
    ];
    for (text, expected) in cases {
        let error = parse::<Sample>(text, Path::new("edge.toml")).unwrap_err().to_string();
        assert!(error.contains(expected), "{text:?}: got {error:?}, expected {expected:?}");
        assert_eq!(error.lines().count(), 1, "one sentence: {error:?}");
    }
}

#[test]
fn fields_left_out_have_their_default() {
    let sample: Sample = parse("[wal]\ngather_ms = 7\n", Path::new("edge.toml")).unwrap();
    assert_eq!(sample, Sample { wal: Wal { gather_ms: 7 }, ..Sample::default() });
}

#[test]
fn printed_default_is_read_back_as_the_default() {
    let text = print_default::<Sample>().unwrap();
    assert_eq!(parse::<Sample>(&text, Path::new("edge.toml")).unwrap(), Sample::default());
}

#[test]
fn missing_file_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("absent.toml");
    let error = load::<Sample>(&path).unwrap_err().to_string();
    assert!(error.starts_with("cannot read configuration file") && error.contains("absent.toml"), "{error}");
}
