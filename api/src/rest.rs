//! REST paths for the gRPC services, as the `google.api.http` annotations of their `.proto` files say.
//!
//! In: the descriptors and the services. Out: for every request of HTTP, its RPC called in this process and the answer as
//! JSON: fields as the `.proto` file names them, defaults written out, 64-bit integers as numbers. An RPC with an annotation
//! needs no code here. Errors are those of the service, in the form of [`crate::refuse`].

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::Query;
use axum::extract::rejection::BytesRejection;
use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use prost_reflect::{DescriptorError, DescriptorPool, DynamicMessage, SerializeOptions};
use tonic::body::Body;
use tonic::server::NamedService;
use tower::util::BoxCloneSyncService;

use crate::authorize::Authorizer;
use crate::refuse::{Code, Refusal};

mod template;
mod route;
mod bind;
mod call;

pub use call::Service;
pub use route::{Body as RouteBody, Parameter, Route, routes};
pub use template::Template;

/// How answers are written.
const ANSWER: SerializeOptions = SerializeOptions::new()
    .use_proto_field_name(true)
    .skip_default_fields(false)
    .stringify_64_bit_integers(false);

/// Why the annotations cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum RestError {
    /// The descriptors are none.
    #[error("the descriptors of the .proto files cannot be read: {0}")]
    Descriptors(#[from] DescriptorError),
    /// One annotation.
    #[error("{rpc} cannot have the REST path of its annotation: {problem}")]
    Rule {
        /// Its full name.
        rpc: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
}

/// All messages and services of Meridian.
///
/// # Errors
/// Not with descriptors that the build made.
pub fn descriptors() -> Result<DescriptorPool, RestError> {
    Ok(DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET)?)
}

/// The gRPC services behind the paths, by full name.
#[derive(Clone, Default)]
pub struct Services(BTreeMap<String, Service>);

impl Services {
    /// With this one, a server that tonic generated.
    #[must_use]
    pub fn add_service<S>(self, service: S) -> Self
    where
        S: tower::Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
        S: NamedService + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
    {
        self.add_named(S::NAME, BoxCloneSyncService::new(service))
    }

    fn add_named(mut self, name: &str, service: Service) -> Self {
        self.0.insert(name.to_owned(), service);
        self
    }
}

/// The paths.
#[derive(Clone)]
pub struct Rest {
    routes: Vec<(Route, Service)>,
    /// `POST /v1/reports/run`: what is served beside, for the list of what exists.
    beside: &'static [&'static str],
    authorizer: Arc<Authorizer>,
}

impl Rest {
    /// The paths that the annotations in `pool` say.
    ///
    /// # Errors
    /// An annotation that cannot be served, or whose service is not among `services`.
    pub fn new(
        pool: &DescriptorPool,
        services: &Services,
        beside: &'static [&'static str],
        authorizer: Arc<Authorizer>,
    ) -> Result<Self, RestError> {
        let routes = routes(pool)?.into_iter().map(|route| {
            let name = route.rpc.parent_service().full_name().to_owned();
            let service = services.0.get(&name).cloned().ok_or_else(|| RestError::Rule {
                rpc: route.rpc.full_name().to_owned(),
                problem: format!("{name} is not among the services; add it where they are put together"),
            });
            service.map(|service| (route, service))
        });
        Ok(Self { routes: routes.collect::<Result<_, _>>()?, beside, authorizer })
    }

    /// Answers one request.
    pub async fn answer(
        &self,
        method: &Method,
        uri: &Uri,
        headers: HeaderMap,
        body: Result<Bytes, BytesRejection>,
    ) -> Response {
        // hyper leaves the body out of the answer to a HEAD.
        let method = if method == Method::HEAD { &Method::GET } else { method };
        let matching: Vec<_> = self
            .routes
            .iter()
            .filter_map(|(route, service)| Some((route, service, route.template.values(uri.path())?)))
            .collect();
        if matching.is_empty() {
            return self.nothing_here().into_response();
        }
        let Some((route, service, values)) = matching.iter().find(|(route, ..)| route.method == *method)
        else {
            return no_such_method(matching.iter().map(|(route, ..)| &route.method));
        };
        let answer = self.call(route, service, values, uri, headers, body).await;
        answer.unwrap_or_else(IntoResponse::into_response)
    }

    async fn call(
        &self,
        route: &Route,
        service: &Service,
        values: &[(&str, String)],
        uri: &Uri,
        headers: HeaderMap,
        body: Result<Bytes, BytesRejection>,
    ) -> Result<Response, Refusal> {
        let message = whole(body).and_then(|body| {
            let Query(query) = Query::<Vec<(String, String)>>::try_from_uri(uri).map_err(|error| {
                Refusal::invalid("query", uri.query().unwrap_or_default(), error.body_text())
            })?;
            bind::message(route, values, &query, &body)
        });
        let message = match message {
            Ok(message) => message,
            // Who has no key is told so, and not what else is wrong.
            Err(refusal) => return Err(self.authorizer.caller(&headers).err().unwrap_or(refusal)),
        };
        let answer = call::call(service, &route.rpc, headers, message).await;
        written(&answer.map_err(|status| Refusal::from(&status))?)
    }

    fn nothing_here(&self) -> Refusal {
        let mut paths: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (route, _) in &self.routes {
            paths.entry(route.template.to_string()).or_default().push(route.method.as_str());
        }
        let paths = paths.into_iter().map(|(path, mut methods)| {
            methods.sort_unstable();
            format!("{} {path}", methods.join(" or "))
        });
        let beside = self.beside.iter().map(|&text| text.to_owned());
        let all: Vec<_> = beside.chain(paths).collect();
        Refusal::new(Code::NotFound, format!("there is nothing at this path; use {}", all.join(", ")))
    }
}

/// 405 with what the path has.
pub(crate) fn no_such_method<'a>(methods: impl Iterator<Item = &'a Method>) -> Response {
    let mut methods: Vec<_> = methods.map(Method::as_str).collect();
    methods.sort_unstable();
    let said = format!("this path has no such method; use {}", methods.join(" or "));
    let mut response = Refusal::new(Code::MethodNotAllowed, said).into_response();
    if let Ok(allow) = HeaderValue::try_from(methods.join(", ")) {
        response.headers_mut().insert(ALLOW, allow);
    }
    response
}

/// The body, if all of it came and it is not too large.
pub(crate) fn whole(body: Result<Bytes, BytesRejection>) -> Result<Bytes, Refusal> {
    body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Refusal::new(Code::TooLarge, "the body is larger than a request may be")
        }
        _ => Refusal::new(Code::InvalidArgument, "the body did not arrive whole"),
    })
}

fn written(answer: &DynamicMessage) -> Result<Response, Refusal> {
    let mut json = Vec::new();
    answer.serialize_with_options(&mut serde_json::Serializer::new(&mut json), &ANSWER).map_err(|error| {
        Refusal::new(Code::Internal, format!("the answer cannot be written as JSON: {error}"))
    })?;
    Ok(([(CONTENT_TYPE, "application/json")], json).into_response())
}

#[cfg(test)]
pub(crate) mod tests;
