//! The configurations over real sockets: who quinn and tonic say is calling.
#![allow(clippy::unwrap_used)] // clippy's exemption for tests does not reach helper functions of an integration test

use identity::{Identity, Role, TlsFiles, ensure_development};
use tempfile::TempDir;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, Server};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

/// 2026-01-01T00:00:00Z; real clocks read later and within ten years.
const NOW_MS: u64 = 1_767_225_600_000;

fn files(directory: &TempDir, role: Role, id: &str) -> TlsFiles {
    let identity = Identity::new(role, id).unwrap();
    ensure_development(directory.path(), &[identity], NOW_MS).unwrap().remove(0)
}

#[tokio::test]
async fn quic_peers_know_each_other() {
    let directory = tempfile::tempdir().unwrap();
    let (edge, hub) = (files(&directory, Role::Edge, "e1"), files(&directory, Role::Hub, "h1"));
    let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let server_config = identity::quinn_server_config(&hub, &[b"t/1"]).unwrap();
    let server = quinn::Endpoint::server(server_config, any).unwrap();
    let client = quinn::Endpoint::client(any).unwrap();
    let client_config = identity::quinn_client_config(&edge, &[b"t/1"]).unwrap();
    let connecting =
        client.connect_with(client_config, server.local_addr().unwrap(), "hub.meridian.internal").unwrap();
    let accepting = async { server.accept().await.unwrap().await.unwrap() };
    let (outgoing, incoming) = tokio::join!(async { connecting.await.unwrap() }, accepting);
    assert_eq!(identity::quinn_peer_identity(&incoming).unwrap(), Identity::new(Role::Edge, "e1").unwrap());
    assert_eq!(identity::quinn_peer_identity(&outgoing).unwrap(), Identity::new(Role::Hub, "h1").unwrap());
}

async fn check_health(address: std::net::SocketAddr, files: &TlsFiles) -> Result<(), tonic::Status> {
    let tls = identity::tonic_client_config(files, "l1.loader.meridian.internal").unwrap();
    let channel = Channel::from_shared(format!("https://{address}"))
        .unwrap()
        .tls_config(tls)
        .unwrap()
        .connect()
        .await
        .map_err(|error| tonic::Status::unavailable(error.to_string()))?;
    HealthClient::new(channel).check(HealthCheckRequest::default()).await.map(drop)
}

#[tokio::test]
async fn grpc_server_tells_roles_apart_and_refuses_strangers() {
    let (directory, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let loader = files(&directory, Role::Loader, "l1");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (_reporter, health) = tonic_health::server::health_reporter();
    let hubs_only =
        tonic::service::interceptor::InterceptedService::new(health, |request: tonic::Request<()>| {
            match identity::tonic_peer_identity(&request).and_then(|peer| peer.expect_role(Role::Hub)) {
                Ok(_) => Ok(request),
                Err(error) => Err(tonic::Status::permission_denied(error.to_string())),
            }
        });
    let server = Server::builder()
        .tls_config(identity::tonic_server_config(&loader).unwrap())
        .unwrap()
        .add_service(hubs_only)
        .serve_with_incoming(TcpListenerStream::new(listener));
    let serving = tokio::spawn(server);

    check_health(address, &files(&directory, Role::Hub, "h1")).await.unwrap();
    let wrong_role = check_health(address, &files(&directory, Role::Edge, "e1")).await.unwrap_err();
    assert_eq!(wrong_role.code(), tonic::Code::PermissionDenied);
    assert!(wrong_role.message().contains("e1.edge.meridian.internal"), "{wrong_role}");
    let own_ca = files(&directory, Role::Hub, "h1").ca;
    let stranger = TlsFiles { ca: own_ca, ..files(&elsewhere, Role::Hub, "h1") };
    assert!(check_health(address, &stranger).await.is_err());
    serving.abort();
}
