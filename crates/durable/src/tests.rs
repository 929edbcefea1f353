//! Whatever was made is there after a loss of power at any call, and after a kill, a new start, and then a loss of power.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use power_loss::{Case, acknowledged, step};

use super::*;

fn work(root: &Path) {
    let folder = root.join("a/b/c");
    step("make");
    create_dir_all(&folder).unwrap();
    acknowledged("folder".into());
    step("name");
    if folder.join("note.txt").exists() {
        sync_dir(&folder).unwrap();
    } else {
        let mut file = File::create(folder.join("new.tmp")).unwrap();
        file.write_all(b"note").unwrap();
        file.sync_all().unwrap();
        rename(&folder.join("new.tmp"), &folder.join("note.txt")).unwrap();
    }
    acknowledged("note".into());
}

fn check(root: &Path, acknowledged: &[String]) -> Result<(), String> {
    let folder = root.join("a/b/c");
    for what in acknowledged {
        let is = if what == "folder" {
            folder.is_dir()
        } else {
            fs::read(folder.join("note.txt")).is_ok_and(|n| n == b"note")
        };
        if !is {
            return Err(format!("the {what} is gone"));
        }
    }
    Ok(())
}

#[test]
fn names_outlive_a_loss_of_power_at_any_call() {
    let test = "tests::names_outlive_a_loss_of_power_at_any_call";
    Case { test, work, check, seeds: 1_000, covered: &[], needless: &[] }.prove();
}

#[test]
fn a_directory_below_one_that_may_not_be_read_is_no_error() {
    let root = tempfile::tempdir().unwrap();
    let (closed, inside) = (root.path().join("closed"), root.path().join("closed/inside"));
    create_dir_all(&inside).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o311)).unwrap();
    // Root reads everything: for it this shows only that nothing else goes wrong.
    create_dir_all(&inside).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_file_in_the_way_is_an_error() {
    let root = tempfile::tempdir().unwrap();
    File::create(root.path().join("a")).unwrap();
    assert!(create_dir_all(&root.path().join("a")).is_err());
    assert!(create_dir_all(&root.path().join("a/b")).is_err());
}
