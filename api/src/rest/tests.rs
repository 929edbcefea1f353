//! Every form of an annotation, against a service that answers what it was sent.
//!
//! The service does what the network's other end would: it takes a frame of gRPC and gives the same one back, or the status
//! that a header asks for.

use std::path::Path;

use axum::body::Bytes;
use http::HeaderName;
use http_body_util::BodyExt as _;
use property::KeyHash;
use serde_json::{Value, json};
use tonic::Status;

use super::*;
use crate::history::tests::Running;

/// Every form that an annotation and a field may have.
pub(crate) const LIBRARY: &str = include_str!("tests/library.proto");

/// The descriptors of a file, with its comments.
pub(crate) fn pool(proto: &str) -> DescriptorPool {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("library.proto"), proto).unwrap();
    let google = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto");
    let mut compiler = protox::Compiler::new([dir.path(), &google]).unwrap();
    compiler.include_imports(true).include_source_info(true).open_file("library.proto").unwrap();
    DescriptorPool::decode(compiler.encode_file_descriptor_set().as_slice()).unwrap()
}

/// Answers the request's own bytes; with a header `x-refuse`, that text as a refusal of the field "id".
fn echo() -> Service {
    BoxCloneSyncService::new(tower::service_fn(|request: http::Request<Body>| async move {
        let (parts, body) = request.into_parts();
        assert_eq!(parts.uri.path(), "/library.v1.LibraryService/PutShelf");
        assert_eq!(parts.headers[CONTENT_TYPE], "application/grpc");
        assert!(
            !parts.headers.contains_key("content-length") && !parts.headers.contains_key("grpc-encoding")
        );
        if let Some(value) = parts.headers.get("x-refuse") {
            let refusal = Refusal {
                code: Code::Overloaded,
                ..Refusal::invalid("id", value.to_str().unwrap(), "which is asked for too often")
            };
            return Ok(Status::from(refusal).into_http());
        }
        let frames = body.collect().await.unwrap().to_bytes();
        let trailers = HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), HeaderValue::from(0))]);
        let body = http_body_util::Full::new(frames).with_trailers(std::future::ready(Some(Ok(trailers))));
        let response = http::Response::builder().header(CONTENT_TYPE, "application/grpc");
        Ok(response.body(Body::new(body)).unwrap())
    }))
}

struct Library {
    rest: Rest,
    _running: Running,
}

impl Library {
    fn new() -> Self {
        let running = Running::start();
        let authorizer = Arc::new(Authorizer::new(
            running.history.clone(),
            KeyHash::of("ak_test"),
            service::TestClock::new(1).shared(),
        ));
        let services = Services::default().add_named("library.v1.LibraryService", echo());
        let pool = pool(LIBRARY);
        Self {
            rest: Rest::new(&pool, &services, &["POST /v1/by-hand"], authorizer).unwrap(),
            _running: running,
        }
    }

    async fn ask(
        &self,
        method: &str,
        uri: &str,
        headers: &[(&'static str, &'static str)],
        body: &str,
    ) -> (u16, HeaderMap, Value) {
        let headers = headers
            .iter()
            .map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let body = Ok(Bytes::copy_from_slice(body.as_bytes()));
        let (method, uri) = (method.parse().unwrap(), uri.parse().unwrap());
        let response = self.rest.answer(&method, &uri, headers.collect(), body).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (parts.status.as_u16(), parts.headers, serde_json::from_slice(&body).unwrap())
    }

    /// As who has a key.
    async fn admin(&self, method: &str, uri: &str, body: &str) -> (u16, Value) {
        let (status, _, answer) = self.ask(method, uri, &[("x-goog-api-key", "ak_test")], body).await;
        (status, answer)
    }
}

/// A shelf of which nothing but the id is said, with the defaults that the proto3 JSON mapping has for each field.
fn shelf(id: &str, fields: &Value) -> Value {
    let mut shelf = json!({
        "id": id, "places": 0, "pages_total": 0, "balance": 0, "width_m": 0.0, "is_open": false, "seal": "",
        "kind": "KIND_UNSPECIFIED", "labels": [], "kinds": [], "books": [], "counts": {},
    });
    shelf.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    shelf
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_becomes_the_message_and_the_answer_has_every_field() {
    let library = Library::new();
    for (body, expected) in [
        (json!({}), json!({})),
        (json!({ "places": 4_294_967_295_u32, "pages_total": u64::MAX, "balance": i64::MIN }), json!(null)),
        (json!({ "width_m": 1.5, "is_open": true, "seal": "AAH/", "kind": "ATLAS" }), json!(null)),
        (
            json!({ "labels": ["", "b"], "kinds": ["NOVEL", "KIND_UNSPECIFIED"], "counts": { "a": 1 } }),
            json!(null),
        ),
        (json!({ "pages_total": "7", "kind": 1 }), json!({ "pages_total": 7, "kind": "NOVEL" })),
        (json!({ "floor": 0, "is_lit": false }), json!(null)),
        (json!({ "floor": null, "labels": null, "book": null }), json!({})),
        (json!({ "opened_at": "2015-05-17T10:00:00Z", "loan": "1.500s" }), json!(null)),
        (
            json!({ "update_mask": "pages_total,book.title" }),
            json!({ "update_mask": "pagesTotal,book.title" }),
        ),
        (
            json!({ "book": { "title": "a", "inner": { "pages": 2 } }, "books": [{}] }),
            json!({
                "book": { "title": "a", "inner": { "title": "", "pages": 2 }, "pages": 0 },
                "books": [{ "title": "", "pages": 0 }],
            }),
        ),
        // The same as in the path.
        (json!({ "id": "s 1" }), json!({})),
    ] {
        let expected = if expected.is_null() { body.clone() } else { expected };
        let answer = library.admin("PUT", "/v1/shelves/s%201", &body.to_string()).await;
        assert_eq!(answer, (200, shelf("s 1", &expected)), "{body}");
    }
    assert_eq!(library.admin("PUT", "/v1/shelves/1", "").await, (200, shelf("1", &json!({}))));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rest_of_the_message_is_in_the_query() {
    let library = Library::new();
    let answer =
        library.admin("POST", "/v1/shelves/1:fill?places=3&labels=a&labels=b%26", r#"{"title":"t"}"#).await;
    let book = json!({ "title": "t", "pages": 0 });
    assert_eq!(answer, (200, shelf("1", &json!({ "places": 3, "labels": ["a", "b&"], "book": book }))));
    let query = "book.pages=2&is_open=true&is_lit=false&kind=ATLAS&kinds=1&kinds=NOVEL&width_m=0.5&seal=AAE%3D\
                 &opened_at=2015-05-17T10:00:00Z&loan=2s&balance=-1&update_mask=pages_total";
    let answer = library.admin("GET", &format!("/v1/shelves/1/books/t?{query}"), "").await;
    let expected = json!({
        "book": { "title": "t", "pages": 2 }, "is_open": true, "is_lit": false, "kind": "ATLAS", "kinds": ["NOVEL", "NOVEL"],
        "width_m": 0.5, "seal": "AAE=", "opened_at": "2015-05-17T10:00:00Z", "loan": "2s", "balance": -1,
        "update_mask": "pagesTotal",
    });
    assert_eq!(answer, (200, shelf("1", &expected)));
    assert_eq!(library.admin("HEAD", "/v1/shelves/1/books/t", "").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_refused_by_field_and_value() {
    let library = Library::new();
    let put = |body: Value| ("PUT", "/v1/shelves/1", body.to_string());
    let get = |query: &'static str| ("GET", query, String::new());
    for ((method, path, body), field, value, says) in [
        (("PUT", "/v1/shelves/1", "{".to_owned()), "body", "{", "is not the JSON expected here"),
        (put(json!([])), "body", "[]", "an object"),
        (put(json!({ "colour": 1 })), "colour", "1", "the fields are id, places, pages_total"),
        (put(json!({ "pagesTotal": 1 })), "pagesTotal", "1", "no such field"),
        (
            put(json!({ "books": [{}, { "color": "red" }] })),
            "books[1].color",
            "red",
            "the fields are title, inner, pages",
        ),
        (put(json!({ "book": { "inner": { "pages": "x" } } })), "book.inner.pages", "x", "0 to 4294967295"),
        (put(json!({ "places": -1 })), "places", "-1", "0 to 4294967295"),
        (put(json!({ "places": 4_294_967_296_u64 })), "places", "4294967296", "0 to 4294967295"),
        (put(json!({ "labels": "a" })), "labels", "a", "is not a list"),
        (put(json!({ "labels": ["a", 5] })), "labels[1]", "5", "is not a string"),
        (put(json!({ "labels": [null] })), "labels[0]", "null", "is not a string"),
        (put(json!({ "book": "a" })), "book", "a", "is not an object"),
        (put(json!({ "is_open": "true" })), "is_open", "true", "is not true or false"),
        (put(json!({ "kind": "COMIC" })), "kind", "COMIC", "one of KIND_UNSPECIFIED, NOVEL, ATLAS"),
        (put(json!({ "opened_at": "today" })), "opened_at", "today", "RFC 3339"),
        (put(json!({ "id": "2" })), "id", "1", "leave id out of the body"),
        (
            get("/v1/shelves/1/books/t?colour=1"),
            "colour",
            "1",
            "its parameters in the query are places, pages_total",
        ),
        (get("/v1/shelves/1/books/t?id=2"), "id", "2", "no such parameter"),
        (get("/v1/shelves/1/books/t?places=x"), "places", "x", "0 to 4294967295"),
        (get("/v1/shelves/1/books/t?places=1&places=2"), "places", "2", "give it once"),
        (get("/v1/shelves/1/books/t?is_open=yes"), "is_open", "yes", "true or false"),
        (
            ("GET", "/v1/shelves/1/books/t", "{}".to_owned()),
            "body",
            "{}",
            "GET /v1/shelves/{id}/books/{book.title} takes none",
        ),
        (
            ("PUT", "/v1/shelves/1?places=1", "{}".to_owned()),
            "places",
            "1",
            "it has no parameters in the query",
        ),
    ] {
        let (status, answer) = library.admin(method, path, &body).await;
        let error = &answer["error"];
        assert_eq!(
            (status, &error["code"]),
            (400, &json!("invalid_argument")),
            "{method} {path} {body}: {error}"
        );
        assert_eq!((&error["field"], &error["value"]), (&json!(field), &json!(value)), "{error}");
        let message = error["message"].as_str().unwrap();
        assert!(
            message.starts_with(&format!("{field} is {value:?}, ")) && message.contains(says),
            "{message}"
        );
        // Who has no key is told that alone.
        let (status, _, answer) = library.ask(method, path, &[], &body).await;
        assert_eq!((status, &answer["error"]["code"]), (401, &json!("unauthenticated")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_of_the_service_keep_code_field_and_value() {
    let library = Library::new();
    let headers = [("x-refuse", "often"), ("content-length", "2"), ("grpc-encoding", "gzip")];
    let (status, headers, answer) = library.ask("PUT", "/v1/shelves/1", &headers, "{}").await;
    let error = json!({
        "code": "overloaded", "field": "id", "value": "often", "message": "id is \"often\", which is asked for too often"
    });
    assert_eq!((status, answer), (503, json!({ "error": error })));
    assert_eq!(headers["retry-after"], "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_paths_and_methods_are_answered_with_those_there_are() {
    let library = Library::new();
    for path in ["/", "/v1/shelves", "/v1/shelves/", "/v1/shelves/1/books", "/library.v1.LibraryService/Burn"]
    {
        let (status, answer) = library.admin("POST", path, "").await;
        let expected = "there is nothing at this path; use POST /v1/by-hand, PUT /v1/shelves/{id}, \
                        GET /v1/shelves/{id}/books/{book.title}, POST /v1/shelves/{id}:fill";
        assert_eq!((status, &answer["error"]["message"]), (404, &json!(expected)), "{path}");
    }
    let (status, headers, answer) = library.ask("DELETE", "/v1/shelves/1:fill", &[], "").await;
    assert_eq!((status, &answer["error"]["code"]), (405, &json!("method_not_allowed")));
    assert_eq!(answer["error"]["message"], "this path has no such method; use POST or PUT");
    assert_eq!(headers["allow"], "POST, PUT");
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_cannot_be_served_are_refused_at_the_start() {
    let rpc = "rpc PutShelf(Shelf) returns (Shelf)";
    let file = |rpc: &str, rule: &str| {
        let head = "syntax = \"proto3\"; package l; import \"google/api/annotations.proto\"; service S {";
        let message = "message Shelf { string id = 1; repeated string labels = 2; Book inner = 3; } message Book { string id = 1; }";
        format!("{head} {rpc} {{ option (google.api.http) = {{ {rule} }}; }} }} {message}")
    };
    for (rpc, rule, says) in [
        ("rpc PutShelf(stream Shelf) returns (Shelf)", "get: \"/a\"", "it streams"),
        (rpc, "body: \"*\"", "no get, put, post, delete or patch"),
        (rpc, "custom { kind: \"LIST\" path: \"/a\" }", "no get, put, post, delete or patch"),
        (rpc, "get: \"/a/**\"", "has the part \"**\""),
        (rpc, "get: \"/a/{nobody}\"", "variable \"nobody\""),
        (rpc, "get: \"/a/{labels}\"", "variable \"labels\""),
        (rpc, "get: \"/a/{inner}\"", "variable \"inner\""),
        (rpc, "post: \"/a\" body: \"nobody\"", "body \"nobody\""),
        (rpc, "get: \"/a\" response_body: \"id\"", "response_body"),
        (
            rpc,
            "get: \"/a/{id}\" additional_bindings { get: \"/a/{inner.id}\" }",
            "GET /a/{inner.id} is l.S.PutShelf too",
        ),
    ] {
        let said = routes(&pool(&file(rpc, rule))).unwrap_err().to_string();
        assert!(said.starts_with("l.S.PutShelf ") && said.contains(says), "{rule}: {said}");
    }
    let running = Running::start();
    let authorizer = Arc::new(Authorizer::new(
        running.history.clone(),
        KeyHash::of("ak_test"),
        service::TestClock::new(1).shared(),
    ));
    let refused = Rest::new(&pool(&file(rpc, "get: \"/a\"")), &Services::default(), &[], authorizer);
    assert!(refused.is_err_and(|error| error.to_string().contains("l.S is not among the services")));
}
