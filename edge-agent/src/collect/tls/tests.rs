//! Pairs of files: which are taken, which are refused and how, and what a look at changed ones does.

use std::path::Path;

use prometheus_client::registry::Registry;
use rcgen::{
    BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256,
    PKCS_ECDSA_P384_SHA384, PKCS_ED25519, SignatureAlgorithm, date_time_ymd,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tempfile::TempDir;

use super::*;

/// 2040-01-01T00:00:00Z, from `date -u -d 2040-01-01 +%s`.
const YEAR_2040_S: i64 = 2_208_988_800;

/// 2030-01-01T00:00:00Z, from `date -u -d 2030-01-01 +%s`.
const YEAR_2030_S: i64 = 1_893_456_000;

/// 2026-06-01T00:00:00Z.
const NOW_S: u64 = 1_780_272_000;

fn params() -> CertificateParams {
    let mut params = CertificateParams::new(vec!["collect.example.com".to_owned()]).unwrap();
    params.not_after = date_time_ymd(2040, 1, 1);
    params
}

/// Certificate and key in PEM.
fn pair(algorithm: &'static SignatureAlgorithm) -> (String, String) {
    let key = KeyPair::generate_for(algorithm).unwrap();
    (params().self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn write(directory: &Path, cert: &str, key: &str) -> Config {
    let files = Config { cert: directory.join("cert.pem"), key: directory.join("key.pem") };
    std::fs::write(&files.cert, cert).unwrap();
    std::fs::write(&files.key, key).unwrap();
    files
}

struct Following {
    directory: TempDir,
    shown: Arc<Shown>,
    metrics: TlsMetrics,
    reload: Reload,
}

impl Following {
    fn of((cert, key): &(String, String)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let tls = Tls::open(&write(directory.path(), cert, key)).unwrap();
        let (shown, metrics) = (tls.shown.clone(), TlsMetrics::new(&mut Registry::default()));
        let (_terminator, reload) = tls.split(metrics.clone());
        Self { directory, shown, metrics, reload }
    }

    /// Writes the files and looks twice; whether `cert` is shown then, and how often what lay there was refused.
    fn after(&mut self, cert: &str, key: &str) -> (bool, u64) {
        write(self.directory.path(), cert, key);
        self.reload.look(NOW_S);
        self.reload.look(NOW_S);
        (self.shows(cert), self.metrics.reload_failures.get())
    }

    fn shows(&self, cert: &str) -> bool {
        let expected = CertificateDer::from_pem_slice(cert.as_bytes()).unwrap();
        self.shown.0.read().unwrap().cert == [expected]
    }
}

#[test]
fn keys_of_each_kind_are_taken() {
    let directory = tempfile::tempdir().unwrap();
    for algorithm in [&PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384, &PKCS_ED25519] {
        let (cert, key) = pair(algorithm);
        let tls = Tls::open(&write(directory.path(), &cert, &key)).unwrap();
        assert_eq!(tls.expires_at_s, YEAR_2040_S);
    }
}

#[test]
fn a_chain_is_taken_as_it_is_and_expires_with_its_first() {
    let directory = tempfile::tempdir().unwrap();
    let (ca_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut ca = params();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.not_after = date_time_ymd(2030, 1, 1);
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let issuer = Issuer::from_ca_cert_pem(&ca_pem, ca_key).unwrap();
    let chain = params().signed_by(&key, &issuer).unwrap().pem() + &ca_pem;
    let tls = Tls::open(&write(directory.path(), &chain, &key.serialize_pem())).unwrap();
    assert_eq!((tls.shown.0.read().unwrap().cert.len(), tls.expires_at_s), (2, YEAR_2030_S));
}

#[test]
fn what_cannot_be_used_is_refused_by_the_name_of_its_field() {
    let directory = tempfile::tempdir().unwrap();
    let ((cert, key), (_, other_key)) = (pair(&PKCS_ED25519), pair(&PKCS_ED25519));
    let no_der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let no_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    for (cert, key, expected) in [
        ("", key.as_str(), "collect.tls.cert = "),
        (no_der, &key, "collect.tls.cert = "),
        (&key, &key, "collect.tls.cert = "),
        (&cert, "", "collect.tls.key = "),
        (&cert, &cert, "collect.tls.key = "),
        (&cert, no_key, "collect.tls.key = "),
        (&cert, &other_key, "cannot be used together: "),
    ] {
        let files = write(directory.path(), cert, key);
        let error = Tls::open(&files).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }
    for (cert, key, expected) in [("absent", "key.pem", "cert"), ("cert.pem", "absent", "key")] {
        let files = Config { cert: directory.path().join(cert), key: directory.path().join(key) };
        let error = Tls::open(&files).err().unwrap().to_string();
        let path = directory.path().join("absent");
        assert_eq!(error, format!("cannot read collect.tls.{expected} = {path:?}"));
    }
}

#[test]
fn a_changed_pair_is_shown_once_it_stands_still() {
    let (old, new) = (pair(&PKCS_ED25519), pair(&PKCS_ECDSA_P256_SHA256));
    let mut following = Following::of(&old);
    assert_eq!(following.metrics.expires_at_s.get(), YEAR_2040_S);
    // The certificate first, and its key a look later.
    write(following.directory.path(), &new.0, &old.1);
    following.reload.look(NOW_S);
    write(following.directory.path(), &new.0, &new.1);
    following.reload.look(NOW_S);
    assert!(following.shows(&old.0));
    following.reload.look(NOW_S);
    assert!(following.shows(&new.0));
    assert_eq!(following.metrics.reload_failures.get(), 0);
}

#[test]
fn a_broken_pair_changes_nothing_and_is_counted_once() {
    let (old, new) = (pair(&PKCS_ED25519), pair(&PKCS_ED25519));
    let mut following = Following::of(&old);
    assert_eq!(following.after(&new.0, &old.1), (false, 1));
    assert!(following.shows(&old.0));
    assert_eq!(following.after(&new.0, &old.1), (false, 1));
    assert_eq!(following.after(&new.0, "no key"), (false, 2));
    std::fs::remove_file(following.directory.path().join("key.pem")).unwrap();
    following.reload.look(NOW_S);
    following.reload.look(NOW_S);
    following.reload.look(NOW_S);
    assert_eq!((following.shows(&old.0), following.metrics.reload_failures.get()), (true, 3));
    assert_eq!(following.after(&new.0, &new.1), (true, 3));
    assert_eq!(following.after(&old.0, &old.1), (true, 3));
}

#[test]
fn a_certificate_that_has_expired_is_no_renewal() {
    let (old, key) = (pair(&PKCS_ED25519), KeyPair::generate_for(&PKCS_ED25519).unwrap());
    let mut expired = params();
    expired.not_after = date_time_ymd(2026, 5, 31);
    let expired = expired.self_signed(&key).unwrap().pem();
    let mut following = Following::of(&old);
    assert_eq!(following.after(&expired, &key.serialize_pem()), (false, 1));
    assert!(following.shows(&old.0));
}
