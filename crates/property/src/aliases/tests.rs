//! Aliases that are claimed and released: by many at once, by others, and across a loss of power.

use power_loss::{Case, acknowledged, step};

use super::*;

fn owned(property_id: &str) -> OwnedAlias {
    OwnedAlias { alias: alias("G-1"), property_id: property_id.into() }
}

#[test]
fn of_many_who_claim_an_alias_at_once_one_has_it() {
    for _ in 0..20 {
        let directory = tempfile::tempdir().unwrap();
        let winners: Vec<OwnedAlias> = std::thread::scope(|scope| {
            let claims: Vec<_> = (0..8)
                .map(|n| {
                    let (dir, owned) = (directory.path(), owned(&format!("p_{n}")));
                    scope.spawn(move || claim(dir, &owned).is_ok().then_some(owned))
                })
                .collect();
            claims.into_iter().filter_map(|claim| claim.join().unwrap()).collect()
        });
        let aliases = Aliases::default().refresh(directory.path()).unwrap().unwrap();
        assert_eq!(winners, aliases.of(None));
    }
}

#[test]
fn an_alias_is_released_by_its_owner_alone() {
    let directory = tempfile::tempdir().unwrap();
    claim(directory.path(), &owned("p_a")).unwrap();
    claim(directory.path(), &owned("p_a")).unwrap();
    assert!(
        matches!(claim(directory.path(), &owned("p_b")), Err(AliasError::Taken { owner, .. }) if owner == "p_a")
    );
    assert!(matches!(release(directory.path(), &owned("p_b")), Err(AliasError::Absent(_))));
    release(directory.path(), &owned("p_a")).unwrap();
    claim(directory.path(), &owned("p_b")).unwrap();
    let aliases = Aliases::default().refresh(directory.path()).unwrap().unwrap();
    assert_eq!(aliases.of(Some("p_b")), [owned("p_b")]);
}

/// Where aliases are; the directory is durable before anybody claims one.
const DIR: &str = "lib/properties";

fn alias(id: &str) -> Alias {
    Alias { protocol: "ga4".into(), id: id.into(), hostname: String::new() }
}

const NEEDLESS: [(&str, &str); 2] = [
    ("claim by another: lib/properties/", "the folder of aliases was made durable by the first claim"),
    ("open: lib/properties/", "it is there for the properties"),
];

/// Whose an alias is; `-`: nobody's.
fn owner(dir: &Path, id: &str) -> io::Result<String> {
    let found = Aliases::default().refresh(dir)?;
    let owner = found.and_then(|aliases| aliases.owner(&alias(id)));
    Ok(owner.map_or_else(|| "-".to_owned(), |owner| owner.to_string()))
}

/// Claims an alias. Until this is answered it may be nobody's.
fn claim_it(dir: &Path, id: &str, property_id: &str) {
    if owner(dir, id).unwrap() == "-" {
        acknowledged(format!("{id} - {property_id}"));
    }
    claim(dir, &OwnedAlias { alias: alias(id), property_id: property_id.into() }).unwrap();
    acknowledged(format!("{id} {property_id}"));
}

/// Gives an alias up. Until this is answered it may still be its owner's.
fn release_it(dir: &Path, id: &str, property_id: &str) {
    acknowledged(format!("{id} {property_id} -"));
    release(dir, &OwnedAlias { alias: alias(id), property_id: property_id.into() }).unwrap();
    acknowledged(format!("{id} -"));
}

fn work(root: &Path) {
    step("open");
    let dir = root.join(DIR);
    crate::Properties::open_or_create(&dir).unwrap();
    step("claim");
    claim_it(&dir, "G-1", "p_a");
    // Left by a run that was killed.
    let left = owner(&dir, "G-2").unwrap();
    if left != "-" {
        release_it(&dir, "G-2", &left);
    }
    claim_it(&dir, "G-2", "p_a");
    step("release");
    release_it(&dir, "G-2", "p_a");
    step("claim by another");
    claim_it(&dir, "G-2", "p_b");
}

fn check_left(root: &Path, acknowledged: &[String]) -> Result<(), String> {
    // The last word on each alias names whose it may be.
    let words = acknowledged.iter().filter_map(|word| word.split_once(' '));
    for (id, possible) in words.collect::<HashMap<_, _>>() {
        let found = owner(&root.join(DIR), id).map_err(|error| error.to_string())?;
        if !possible.split(' ').any(|owner| owner == found) {
            return Err(format!("{id} is {found}'s and not {possible}'s"));
        }
    }
    Ok(())
}

#[test]
fn what_was_answered_of_an_alias_outlives_a_loss_of_power_at_any_call() {
    let test = "aliases::tests::what_was_answered_of_an_alias_outlives_a_loss_of_power_at_any_call";
    Case { test, work, check: check_left, seeds: 1_000, covered: &[], needless: &NEEDLESS }.prove();
}
