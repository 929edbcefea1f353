//! Heads, formats and data of INSERT statements; `|` in an expected value stands between head, format and data.

use super::*;

fn split(text: &str) -> String {
    match insert(text.as_bytes()) {
        None => "no".to_owned(),
        Some(found) => format!(
            "{}|{}|{}",
            String::from_utf8_lossy(&found.head),
            found.format.unwrap_or_default(),
            String::from_utf8_lossy(&text.as_bytes()[found.data..])
        ),
    }
}

#[test]
fn statements_are_split_where_the_data_begins() {
    let cases = [
        ("INSERT INTO t(`a`,`b`) FORMAT RowBinary", "INSERT INTO t(`a`,`b`)|RowBinary|"),
        ("insert into t format CSV\n1,2\n", "insert into t|CSV|1,2\n"),
        ("INSERT INTO t FORMAT CSV; \r\n\n1", "INSERT INTO t|CSV|\n1"),
        ("INSERT INTO t FORMAT JSONEachRow {\"a\":1}", "INSERT INTO t|JSONEachRow|{\"a\":1}"),
        (
            "INSERT INTO t (a, format) SETTINGS x='FORMAT CSV' FORMAT TSV\n",
            "INSERT INTO t (a, format) SETTINGS x='FORMAT CSV'|TSV|",
        ),
        ("INSERT INTO format FORMAT CSV\n", "INSERT INTO format|CSV|"),
        ("INSERT INTO TABLE d.values (a) VALUES (1)", "INSERT INTO TABLE d.values (a)|Values| (1)"),
        ("INSERT INTO `a``FORMAT X` /* FORMAT Y */ FORMAT Z\nd", "INSERT INTO `a``FORMAT X`|Z|d"),
        (
            "-- c\n/* INSERT */ INSERT INTO t -- FORMAT CSV\nFORMAT TSV\n1",
            "-- c\n/* INSERT */ INSERT INTO t|TSV|1",
        ),
        ("INSERT INTO t(a) ; ", "INSERT INTO t(a)||"),
        ("INSERT INTO t(a) -- tail", "INSERT INTO t(a)||"),
        (
            "INSERT INTO t SETTINGS s = 'it''s \\' FORMAT' FORMAT TSV",
            "INSERT INTO t SETTINGS s = 'it''s \\' FORMAT'|TSV|",
        ),
        ("INSERT INTO t SELECT 1 FORMAT CSV", "no"),
        ("INSERT INTO t (a) WITH 1 AS x SELECT x", "no"),
        ("INSERT INTO t FROM INFILE 'x' FORMAT CSV", "no"),
        ("SELECT 'INSERT INTO t FORMAT CSV'", "no"),
        ("EXPLAIN INSERT INTO t FORMAT CSV", "no"),
        ("INSERT INTO t FORMAT", "no"),
        ("", "no"),
        ("'unclosed", "no"),
        ("INSERT INTO t VALUES ('/* unclosed", "INSERT INTO t|Values| ('/* unclosed"),
        ("/* unclosed INSERT", "no"),
        ("INSERT INTO t 'ends in a backslash \\", "INSERT INTO t 'ends in a backslash \\||"),
    ];
    for (text, expected) in cases {
        assert_eq!(split(text), expected, "{text}");
    }
}
