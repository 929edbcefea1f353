//! Handshakes in memory: who gets through, and the words for files that cannot be used.

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, ServerConnection};
use tempfile::TempDir;

use super::*;
use crate::development::ensure_development;
use crate::name::Role;

/// 2026-01-01T00:00:00Z; real clocks read later and within ten years.
const NOW_MS: u64 = 1_767_225_600_000;

fn files(directory: &TempDir, role: Role, id: &str) -> TlsFiles {
    let identity = Identity::new(role, id).unwrap();
    ensure_development(directory.path(), &[identity], NOW_MS).unwrap().remove(0)
}

/// Moves bytes between the two until both are done; the first error ends it.
fn handshake(client: &mut ClientConnection, server: &mut ServerConnection) -> Result<(), rustls::Error> {
    while client.is_handshaking() || server.is_handshaking() {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
            server.process_new_packets()?;
        }
        let mut bytes = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets()?;
        }
    }
    Ok(())
}

fn connect(
    client: &TlsFiles,
    server: &TlsFiles,
    server_name: &str,
) -> Result<(Identity, Identity), rustls::Error> {
    let name = ServerName::try_from(server_name.to_owned()).unwrap();
    let mut client = ClientConnection::new(client_config(client, &[b"t/1"]).unwrap(), name).unwrap();
    let mut server = ServerConnection::new(server_config(server, &[b"t/1"]).unwrap()).unwrap();
    handshake(&mut client, &mut server)?;
    assert_eq!(server.alpn_protocol(), Some(&b"t/1"[..]));
    assert_eq!(server.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
    let client_seen = peer_identity(server.peer_certificates().unwrap()).unwrap();
    let server_seen = peer_identity(client.peer_certificates().unwrap()).unwrap();
    Ok((client_seen, server_seen))
}

#[test]
fn two_services_learn_who_the_other_is() {
    let directory = tempfile::tempdir().unwrap();
    let (edge, hub) = (files(&directory, Role::Edge, "e1"), files(&directory, Role::Hub, "h1"));
    for name in ["h1.hub.meridian.internal", "hub.meridian.internal"] {
        let (client, server) = connect(&edge, &hub, name).unwrap();
        assert_eq!(client.to_string(), "e1.edge.meridian.internal");
        assert_eq!(server.to_string(), "h1.hub.meridian.internal");
    }
}

#[test]
fn server_of_another_name_is_refused_by_the_client() {
    let directory = tempfile::tempdir().unwrap();
    let (edge, hub) = (files(&directory, Role::Edge, "e1"), files(&directory, Role::Hub, "h1"));
    for name in ["h2.hub.meridian.internal", "loader.meridian.internal"] {
        let error = connect(&edge, &hub, name).unwrap_err();
        assert!(matches!(error, rustls::Error::InvalidCertificate(_)), "{name}: {error}");
    }
}

#[test]
fn certificates_of_another_ca_are_refused_on_both_sides() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let hub = files(&ours, Role::Hub, "h1");
    let edge = files(&ours, Role::Edge, "e1");
    let stranger = files(&theirs, Role::Edge, "e1");
    let error = connect(&stranger, &hub, "h1.hub.meridian.internal").unwrap_err();
    assert!(matches!(error, rustls::Error::InvalidCertificate(_)), "{error}");
    // A client that trusts our CA but shows a stranger's certificate.
    let disguised = TlsFiles { ca: edge.ca.clone(), ..stranger };
    let error = connect(&disguised, &hub, "h1.hub.meridian.internal").unwrap_err();
    assert!(matches!(error, rustls::Error::InvalidCertificate(_)), "{error}");
}

#[test]
fn client_without_a_certificate_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let hub = files(&directory, Role::Hub, "h1");
    let anonymous = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(hub.load().unwrap().roots)
        .with_no_client_auth();
    let name = ServerName::try_from("h1.hub.meridian.internal").unwrap();
    let mut client = ClientConnection::new(Arc::new(anonymous), name).unwrap();
    let mut server = ServerConnection::new(server_config(&hub, &[]).unwrap()).unwrap();
    let error = handshake(&mut client, &mut server).unwrap_err();
    assert!(matches!(error, rustls::Error::NoCertificatesPresented), "{error}");
}

#[test]
fn unusable_files_are_named_with_their_field() {
    let directory = tempfile::tempdir().unwrap();
    let good = files(&directory, Role::Edge, "e1");
    let other = files(&directory, Role::Edge, "e2");
    let absent = directory.path().join("absent.pem");
    let text = directory.path().join("text.pem");
    std::fs::write(&text, "no certificate here\n").unwrap();
    let cases = [
        (TlsFiles { ca: absent.clone(), ..good.clone() }, "cannot read tls.ca ="),
        (TlsFiles { cert: absent.clone(), ..good.clone() }, "cannot read tls.cert ="),
        (TlsFiles { key: absent, ..good.clone() }, "cannot read tls.key ="),
        (TlsFiles { cert: text.clone(), ..good.clone() }, "holds no usable certificate"),
        (TlsFiles { key: text, ..good.clone() }, "holds no usable private key"),
        (TlsFiles { key: other.key, ..good.clone() }, "tls.cert and tls.key cannot be used together"),
    ];
    for (files, expected) in cases {
        let error = server_config(&files, &[]).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn certificate_without_a_service_name_is_no_identity() {
    let directory = tempfile::tempdir().unwrap();
    let good = files(&directory, Role::Edge, "e1");
    let files = TlsFiles { cert: directory.path().join("ca/cert.pem"), ..good };
    let error = files.identity().unwrap_err().to_string();
    assert!(error.contains("tls.cert =") && error.contains("names no service"), "{error}");
}
