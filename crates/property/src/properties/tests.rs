//! The directory as an operator and a second service change it under a running one.

use tempfile::TempDir;

use super::*;

/// 2015-05-17T10:05:00Z.
const NOW_MS: u64 = 1_431_857_100_000;

fn new(name: &str) -> NewProperty {
    NewProperty { name: name.into(), time_zone: "europe/berlin".into(), ..NewProperty::default() }
}

fn opened() -> (TempDir, Arc<Properties>) {
    let dir = TempDir::new().unwrap();
    let properties = Properties::open(dir.path()).unwrap();
    (dir, properties)
}

#[test]
fn created_property_is_found_by_everything_and_survives_reopening() {
    let (dir, properties) = opened();
    let created = properties.create(new("Shop"), NOW_MS).unwrap();
    let property = &created.property;
    assert_eq!((property.time_zone.as_str(), property.currency.as_str()), ("Europe/Berlin", "USD"));
    assert_eq!(property.created_at.to_string(), "2015-05-17T10:05:00Z");
    assert!(property.accepts_api_secret(&created.api_secret));
    assert!(!property.accepts_api_secret(&created.report_key));
    assert!(property.accepts_report_key(&created.report_key));
    for properties in [properties, Properties::open(dir.path()).unwrap()] {
        let snapshot = properties.snapshot();
        assert_eq!(snapshot.by_id(&property.property_id).as_ref(), Some(property));
        assert_eq!(snapshot.by_measurement_id(&property.measurement_id).as_ref(), Some(property));
        assert_eq!(snapshot.by_report_key(&created.report_key).as_ref(), Some(property));
        assert_eq!(snapshot.by_report_key(&created.api_secret), None);
        assert_eq!(properties.rules(&property.property_id, 1).as_ref(), Some(property.current_rules()));
        assert_eq!(properties.rules(&property.property_id, 2), None);
    }
    let text = std::fs::read_to_string(dir.path().join(format!("{}.json", property.property_id))).unwrap();
    assert!(!text.contains(&created.api_secret) && !text.contains(&created.report_key));
}

#[test]
fn bad_requests_are_refused_by_field_and_write_nothing() {
    let (dir, properties) = opened();
    let long = "x".repeat(101);
    let host = |host: &str| NewProperty { hostnames: vec!["ok.example".into(), host.into()], ..new("A") };
    for (bad, said) in [
        (new(""), "name is \"\""),
        (new(&long), "name is \"xxx"),
        (NewProperty { time_zone: "Mars/Olympus".into(), ..new("A") }, "time_zone is \"Mars/Olympus\""),
        (NewProperty { currency: "eur".into(), ..new("A") }, "currency is \"eur\""),
        (host("https://a.b"), "hostnames[1] is \"https://a.b\""),
    ] {
        let message = properties.create(bad, NOW_MS).unwrap_err().to_string();
        assert!(message.starts_with(said), "{message}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[tokio::test(start_paused = true)]
async fn property_made_by_another_process_is_found_on_the_miss() {
    let (dir, properties) = opened();
    let other = Properties::open(dir.path()).unwrap();
    for name in ["One", "Two", "Three"] {
        let created = other.create(new(name), NOW_MS).unwrap();
        let (measurement_id, id) = (&created.property.measurement_id, &created.property.property_id);
        assert_eq!(properties.find_measurement_id(measurement_id).await.as_ref(), Some(&created.property));
        assert_eq!(properties.find_id(id).await.as_ref(), Some(&created.property));
    }
    let created = other.create(new("Four"), NOW_MS).unwrap();
    assert_eq!(properties.find_report_key(&created.report_key).await.as_ref(), Some(&created.property));
    assert_eq!(properties.find_id("p_aaaaaaaaaaaa").await, None);
    assert_eq!(properties.find_measurement_id("../../x").await, None);
}

#[tokio::test(start_paused = true)]
async fn misses_together_share_readings() {
    let (_dir, properties) = opened();
    let misses = (0..1_000).map(|_| {
        let properties = Arc::clone(&properties);
        tokio::spawn(async move { properties.find_measurement_id("M-AAAAAAAAAA").await })
    });
    for miss in misses.collect::<Vec<_>>() {
        assert_eq!(miss.await.unwrap(), None);
    }
    assert!(properties.miss_begun.load(Ordering::Acquire) <= 3);
}

#[tokio::test(start_paused = true)]
async fn watch_follows_the_directory_until_shutdown() {
    let (dir, properties) = opened();
    let shutdown = CancellationToken::new();
    let watch = tokio::spawn(Arc::clone(&properties).watch(shutdown.clone()));
    let created = Properties::open(dir.path()).unwrap().create(new("Shop"), NOW_MS).unwrap();
    while properties.snapshot().by_id(&created.property.property_id).is_none() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    shutdown.cancel();
    watch.await.unwrap();
}

#[test]
fn broken_file_keeps_the_last_good_version_and_is_refused_at_start() {
    let (dir, properties) = opened();
    let created = properties.create(new("Shop"), NOW_MS).unwrap();
    let id = &created.property.property_id;
    let path = dir.path().join(format!("{id}.json"));
    let good = std::fs::read_to_string(&path).unwrap();
    for (bad, said) in [
        (good.replace("\"Europe/Berlin\"", "\"Mars/Olympus\""), "rules[0].time_zone is \"Mars/Olympus\""),
        (good.replace("\"name\"", "\"title\""), "unknown field `title`"),
        (
            good.replace("\"session_grace_s\"", "\"session_grace_h\""),
            "unknown field `session_grace_h`, expected one of",
        ),
        (good.replace("\"session_grace_s\": 300", "\"shades\": {}"), "a newer build may have written it"),
        (good.replace(id, "p_aaaaaaaaaaaa"), "which is not the file's name"),
        (good.replacen("\"Europe/Berlin\"", "\"UTC\"", 1), "time_zone is \"UTC\""),
        (String::new(), "EOF"),
    ] {
        assert_ne!(bad, good);
        std::fs::write(&path, &bad).unwrap();
        properties.refresh();
        assert_eq!(properties.snapshot().by_id(id).as_ref(), Some(&created.property));
        assert_eq!(properties.stats().broken_files, 1);
        let message = Properties::open(dir.path()).unwrap_err().to_string();
        assert!(message.contains(said) && message.contains(path.to_str().unwrap()), "{message}");
    }
    std::fs::write(&path, good.replace("\"Shop\"", "\"Store\"")).unwrap();
    properties.refresh();
    assert_eq!(properties.snapshot().by_id(id).unwrap().name, "Store");
    assert_eq!(properties.stats(), PropertiesStats { properties: 1, broken_files: 0, failed_readings: 0 });
}

#[test]
fn directory_that_vanishes_or_empties_keeps_the_last_good() {
    let (dir, properties) = opened();
    let first = properties.create(new("First"), NOW_MS).unwrap().property;
    let second = properties.create(new("Second"), NOW_MS + 1).unwrap().property;
    std::fs::remove_file(dir.path().join(format!("{}.json", second.property_id))).unwrap();
    properties.refresh();
    assert_eq!(properties.snapshot().by_id(&second.property_id), None);
    std::fs::remove_file(dir.path().join(format!("{}.json", first.property_id))).unwrap();
    properties.refresh();
    assert_eq!(properties.snapshot().by_id(&first.property_id), Some(first.clone()));
    std::fs::remove_dir_all(dir.path()).unwrap();
    properties.refresh();
    assert_eq!(properties.snapshot().by_id(&first.property_id), Some(first));
    assert_eq!(properties.stats().failed_readings, 2);
    assert!(matches!(Properties::open(dir.path()), Err(OpenError::Directory { .. })));
}

#[test]
fn older_property_keeps_a_measurement_id_that_two_files_claim() {
    let (dir, properties) = opened();
    let first = properties.create(new("First"), NOW_MS).unwrap().property;
    let second = properties.create(new("Second"), NOW_MS + 1).unwrap().property;
    let path = dir.path().join(format!("{}.json", second.property_id));
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace(&second.measurement_id, &first.measurement_id)).unwrap();
    properties.refresh();
    assert_eq!(properties.snapshot().by_measurement_id(&first.measurement_id), Some(first));
    assert_eq!(properties.snapshot().len(), 2);
}

#[test]
fn property_without_traffic_is_let_go_and_found_again() {
    let (_dir, properties) = opened();
    let created = properties.create(new("Shop"), NOW_MS).unwrap().property;
    let is_made = || properties.snapshot().all().iter().any(|stored| stored.is_made());
    assert!(!is_made());
    assert_eq!(properties.snapshot().by_id(&created.property_id).as_ref(), Some(&created));
    assert!(is_made());
    // Twenty minutes, at one look a second: it was used in the first half.
    (0..1_200).for_each(|_| properties.refresh());
    assert!(!is_made());
    assert_eq!(properties.snapshot().by_measurement_id(&created.measurement_id), Some(created));
}
