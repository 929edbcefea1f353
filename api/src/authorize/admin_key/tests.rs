//! One key, for its owner only, through restarts and losses of power.

use std::os::unix::fs::PermissionsExt;

use super::*;

#[test]
fn admin_key_is_made_once_for_its_owner_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("below/admin.key");
    let made = admin_key(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("ak_") && made.accepts(text.trim()));
    assert_eq!(admin_key(&path).unwrap(), made);
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    std::fs::write(&path, "\n").unwrap();
    assert!(matches!(admin_key(&path), Err(AdminKeyError::TooShort(_))));
}

fn make_key(root: &Path) {
    let path = root.join("lib/admin.key");
    power_loss::step("open");
    admin_key(&path).unwrap();
    power_loss::acknowledged(std::fs::read_to_string(&path).unwrap().trim().to_owned());
}

fn same_key(root: &Path, acknowledged: &[String]) -> Result<(), String> {
    let found = admin_key(&root.join("lib/admin.key")).map_err(|error| error.to_string())?;
    match acknowledged.iter().find(|key| !found.accepts(key)) {
        Some(_) => Err("it is another key".into()),
        None => Ok(()),
    }
}

#[test]
fn an_admin_key_in_use_outlives_a_loss_of_power_at_any_call() {
    let test = "authorize::admin_key::tests::an_admin_key_in_use_outlives_a_loss_of_power_at_any_call";
    power_loss::Case { test, work: make_key, check: same_key, seeds: 1_000, covered: &[], needless: &[] }
        .prove();
}
