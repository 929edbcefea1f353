//! Calls a gRPC service in this process.
//!
//! In: a message, and the headers of the HTTP request, which become the call's metadata. Out: the answer's message, or the
//! status. The service gets the same bytes that it would get from the network, so one implementation serves both.

use std::convert::Infallible;

use http::uri::PathAndQuery;
use http::{HeaderMap, header};
use prost_reflect::prost::Message as _;
use prost_reflect::{DynamicMessage, MessageDescriptor, MethodDescriptor};
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataMap;
use tonic::{Extensions, Request, Status};
use tower::util::BoxCloneSyncService;

/// A gRPC service, as tonic's generated servers are.
pub type Service = BoxCloneSyncService<http::Request<Body>, http::Response<Body>, Infallible>;

/// The caller's time limit, the one header of gRPC's own that means the same on both sides.
const TIMEOUT: &str = "grpc-timeout";

/// Calls `rpc` of `service`.
///
/// # Errors
/// What the service answered.
pub(super) async fn call(
    service: &Service,
    rpc: &MethodDescriptor,
    headers: HeaderMap,
    message: DynamicMessage,
) -> Result<DynamicMessage, Status> {
    let path = format!("/{}/{}", rpc.parent_service().full_name(), rpc.name());
    let path = PathAndQuery::try_from(path).map_err(|error| Status::internal(error.to_string()))?;
    let request =
        Request::from_parts(MetadataMap::from_headers(passed(headers)), Extensions::default(), message);
    // The service has its own limit for answers.
    let mut client = Grpc::new(service.clone()).max_decoding_message_size(usize::MAX);
    let Ok(()) = client.ready().await;
    let answer = client.unary(request, path, Dynamic { answer: rpc.output() }).await?;
    Ok(answer.into_inner())
}

/// All headers but those that are about the body or the connection they came with.
fn passed(headers: HeaderMap) -> HeaderMap {
    let mut name = None;
    let mut passed = HeaderMap::with_capacity(headers.len());
    for (next, value) in headers {
        name = next.or(name);
        let Some(name) = &name else { continue };
        let is_of_body =
            [header::CONTENT_LENGTH, header::CONTENT_ENCODING, header::CONTENT_TYPE].contains(name);
        let is_of_connection = [
            header::CONNECTION,
            header::TRANSFER_ENCODING,
            header::TE,
            header::UPGRADE,
            header::EXPECT,
            header::HOST,
        ]
        .contains(name);
        let is_of_grpc = name.as_str().starts_with("grpc-") && name != TIMEOUT;
        if !is_of_body && !is_of_connection && !is_of_grpc {
            passed.append(name.clone(), value);
        }
    }
    passed
}

/// Messages whose types are known by their descriptors alone.
struct Dynamic {
    answer: MessageDescriptor,
}

impl Codec for Dynamic {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = Requests;
    type Decoder = Answers;

    fn encoder(&mut self) -> Requests {
        Requests
    }

    fn decoder(&mut self) -> Answers {
        Answers(self.answer.clone())
    }
}

struct Requests;

impl Encoder for Requests {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, message: DynamicMessage, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        message.encode(to).map_err(|error| Status::internal(error.to_string()))
    }
}

struct Answers(MessageDescriptor);

impl Decoder for Answers {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        let message = DynamicMessage::decode(self.0.clone(), from);
        message.map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}
