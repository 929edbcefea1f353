//! Which certificates name a service.

use rcgen::{CertificateParams, KeyPair};

use super::*;

fn certificate(names: &[&str]) -> CertificateDer<'static> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let key = KeyPair::generate().unwrap();
    CertificateParams::new(names).unwrap().self_signed(&key).unwrap().der().clone()
}

#[test]
fn identity_is_the_one_service_name_in_the_san() {
    let cases: &[(&[&str], Result<&str, &str>)] = &[
        (&["e1.edge.meridian.internal"], Ok("e1.edge.meridian.internal")),
        (&["edge.meridian.internal", "e1.edge.meridian.internal"], Ok("e1.edge.meridian.internal")),
        (&["collect.example.com", "10.0.0.1", "h.hub.meridian.internal"], Ok("h.hub.meridian.internal")),
        (&[], Err("names no service")),
        (&["collect.example.com"], Err("names no service")),
        (&["edge.meridian.internal"], Err("names no service")),
        (&["e1.edge.meridian.internal", "h1.hub.meridian.internal"], Err("more than one service")),
    ];
    for (names, expected) in cases {
        match (peer_identity(&[certificate(names)]), expected) {
            (Ok(identity), Ok(expected)) => assert_eq!(identity.to_string(), *expected),
            (Err(error), Err(expected)) => {
                assert!(error.to_string().contains(expected), "{names:?}: {error}");
            }
            (found, expected) => panic!("{names:?}: {found:?}, expected {expected:?}"),
        }
    }
}

#[test]
fn no_certificate_and_garbage_are_errors() {
    assert_eq!(peer_identity(&[]), Err(IdentityError::NoCertificate));
    let garbage = CertificateDer::from(vec![0x30, 0x03, 1, 2, 3]);
    assert!(matches!(peer_identity(&[garbage]), Err(IdentityError::Unreadable(_))));
}

#[test]
fn only_the_end_entity_counts() {
    let chain = [certificate(&["e1.edge.meridian.internal"]), certificate(&["h1.hub.meridian.internal"])];
    assert_eq!(peer_identity(&chain).unwrap().id(), "e1");
}
