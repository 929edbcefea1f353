//! A property that was answered is there after a loss of power at any call, whole, with its claim and its secrets.

use std::path::Path;

use power_loss::{Case, acknowledged, step};

use super::CLAIMS;
use crate::{NewProperty, Properties};

/// 2015-05-17T10:05:00Z.
const NOW_MS: u64 = 1_431_857_100_000;

fn work(root: &Path) {
    step("open");
    let properties = Properties::open_or_create(root.join("lib/properties")).unwrap();
    // Left by a run that was killed: from now on it is shown and used.
    for property in properties.snapshot().iter() {
        acknowledged(format!("{} {} -", property.property_id, property.measurement_id));
    }
    for _ in 0..3 {
        step("create");
        let new = NewProperty { name: "Shop".into(), ..NewProperty::default() };
        let created = properties.create(new, NOW_MS).unwrap();
        let property = &created.property;
        acknowledged(format!("{} {} {}", property.property_id, property.measurement_id, created.api_secret));
    }
}

fn check(root: &Path, acknowledged: &[String]) -> Result<(), String> {
    let dir = root.join("lib/properties");
    let properties = Properties::open_or_create(&dir).map_err(|error| error.to_string())?;
    let snapshot = properties.snapshot();
    for promised in acknowledged {
        let parts: Vec<&str> = promised.split(' ').collect();
        let [id, measurement_id, secret] = parts[..] else { return Err(promised.clone()) };
        let found = snapshot.by_id(id).ok_or_else(|| format!("{id} is gone"))?;
        if found.measurement_id != measurement_id || !(secret == "-" || found.accepts_api_secret(secret)) {
            return Err(format!("{id} is another one"));
        }
        if !dir.join(CLAIMS).join(measurement_id).exists() {
            return Err(format!("the claim of {measurement_id} is gone"));
        }
    }
    Ok(())
}

#[test]
fn an_answered_property_outlives_a_loss_of_power_at_any_call() {
    let test = "create::tests::an_answered_property_outlives_a_loss_of_power_at_any_call";
    Case { test, work, check, seeds: 1_000, covered: &[], needless: &[] }.prove();
}
