//! Made once, kept, safe to make at the same time, and readable by the owner only.

use std::os::unix::fs::PermissionsExt;

use x509_parser::prelude::{FromDer, X509Certificate};

use super::*;
use crate::name::Role;

/// 2026-01-01T00:00:00Z.
const NOW_MS: u64 = 1_767_225_600_000;

fn identities() -> Vec<Identity> {
    [(Role::Edge, "e1"), (Role::Hub, "h1")].map(|(role, id)| Identity::new(role, id).unwrap()).into()
}

fn contents(files: &TlsFiles) -> Vec<String> {
    [&files.ca, &files.cert, &files.key].map(|path| fs::read_to_string(path).unwrap()).into()
}

#[test]
fn second_start_keeps_the_certificates_and_adds_missing_ones() {
    let directory = tempfile::tempdir().unwrap();
    let first = ensure_development(directory.path(), &identities()[..1], NOW_MS).unwrap();
    let before = contents(&first[0]);
    let second = ensure_development(directory.path(), &identities(), NOW_MS + 1).unwrap();
    assert_eq!(contents(&second[0]), before);
    assert_eq!(second[0].identity().unwrap(), identities()[0]);
    assert_eq!(second[1].identity().unwrap(), identities()[1]);
}

#[test]
fn concurrent_starts_agree_and_leave_no_drafts() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let made: Vec<_> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| ensure_development(path, &identities(), NOW_MS).unwrap()))
            .collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });
    for files in &made {
        assert_eq!(files, &made[0]);
    }
    let mut names: Vec<_> =
        fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["ca", "e1.edge", "h1.hub"]);
    crate::tls::server_config(&made[0][1], &[]).unwrap();
}

#[test]
fn keys_are_readable_by_the_owner_only() {
    let directory = tempfile::tempdir().unwrap();
    let files = ensure_development(directory.path(), &identities(), NOW_MS).unwrap();
    for path in [&files[0].key, &files[1].key, &directory.path().join("ca/key.pem")] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
    }
}

#[test]
fn valid_for_ten_years_from_the_given_time() {
    let directory = tempfile::tempdir().unwrap();
    let files = ensure_development(directory.path(), &identities(), NOW_MS).unwrap();
    let pem = fs::read(&files[0].cert).unwrap();
    let der: rustls::pki_types::CertificateDer<'static> =
        rustls::pki_types::pem::PemObject::from_pem_slice(&pem).unwrap();
    let (_, certificate) = X509Certificate::from_der(&der).unwrap();
    let validity = certificate.validity();
    let now_s = i64::try_from(NOW_MS / 1000).unwrap();
    assert_eq!(validity.not_before.timestamp(), now_s - 86_400);
    // 2036-01-01T00:00:00Z: ten years with three leap days (2028, 2032, and 2036 is not reached) make 3652 days, plus one.
    assert_eq!(validity.not_after.timestamp(), 2_082_758_400 + 86_400);
}

#[test]
fn certificate_of_a_ca_that_is_gone_is_named() {
    let directory = tempfile::tempdir().unwrap();
    ensure_development(directory.path(), &identities(), NOW_MS).unwrap();
    fs::remove_dir_all(directory.path().join("ca")).unwrap();
    let error = ensure_development(directory.path(), &identities(), NOW_MS).unwrap_err().to_string();
    assert!(error.contains("e1.edge") && error.contains("another CA"), "{error}");
}

fn make_certificates(root: &Path) {
    power_loss::step("make");
    for files in ensure_development(&root.join("lib/certs"), &identities(), NOW_MS).unwrap() {
        power_loss::acknowledged(format!("{:?}", contents(&files)));
    }
}

fn same_certificates(root: &Path, acknowledged: &[String]) -> Result<(), String> {
    let files = ensure_development(&root.join("lib/certs"), &identities(), NOW_MS);
    let files = files.map_err(|error| error.to_string())?;
    let found: Vec<String> = files.iter().map(|files| format!("{:?}", contents(files))).collect();
    for files in &files {
        crate::tls::server_config(files, &[]).map_err(|error| error.to_string())?;
    }
    match acknowledged.iter().find(|promised| !found.contains(promised)) {
        Some(_) => Err("they are other certificates".into()),
        None => Ok(()),
    }
}

#[test]
fn certificates_in_use_outlive_a_loss_of_power_at_any_call() {
    let test = "development::tests::certificates_in_use_outlive_a_loss_of_power_at_any_call";
    let (work, check) = (make_certificates, same_certificates);
    power_loss::Case { test, work, check, seeds: 1_000, covered: &[], needless: &[] }.prove();
}
