//! Migrations are cut into statements and filled in as written.

use super::*;

const TWO: [(u32, &str, &str); 2] = [(1, "one", "SELECT 1;\n"), (2, "two", "SELECT 2;\n")];

fn applied(number: u32, text: &str) -> Applied {
    Applied { number, name: "any".to_owned(), sha256: hash(text) }
}

#[test]
fn only_files_that_are_not_recorded_are_pending() {
    let pending = pending(&TWO, &[applied(1, "SELECT 1;\n")]).unwrap();
    assert_eq!(pending, [TWO[1]]);
}

#[test]
fn a_changed_file_and_a_later_build_are_refused() {
    let changed = pending(&TWO, &[applied(1, "SELECT 0;\n")]).unwrap_err();
    assert!(matches!(changed, MigrateError::Changed { number: 1, .. }), "{changed}");
    let newer = pending(&TWO, &[applied(3, "SELECT 3;\n")]).unwrap_err();
    assert!(matches!(newer, MigrateError::Newer(3)), "{newer}");
}

#[test]
fn files_are_numbered_from_one_without_gaps() {
    let numbers: Vec<u32> = FILES.iter().map(|(number, ..)| *number).collect();
    assert_eq!(numbers, (1..=14).collect::<Vec<_>>());
}

#[test]
fn statements_are_split_and_every_placeholder_is_filled() {
    let split = statements("-- why\nCREATE TABLE a\n(x String);\n\n-- more\nSELECT ';' AS y;\n");
    assert_eq!(split, ["CREATE TABLE a\n(x String)", "SELECT ';' AS y"]);
    for (_, name, text) in FILES {
        for statement in statements(&fill(text, &WarehouseConfig::default())) {
            assert!(!statement.contains('{'), "{name}: {statement}");
            // A migration that died half-way is run again from its beginning.
            let is_repeatable = ["IF NOT EXISTS", "MODIFY COLUMN", "MODIFY QUERY"]
                .iter()
                .any(|part| statement.contains(part));
            assert!(is_repeatable, "{name}: {statement}");
        }
    }
}
