//! The document is the one that is checked in, and describes every form of an annotation.

use expect_test::expect_file;
use serde_json::{Value, json};

use crate::openapi::document;
use crate::rest::descriptors;
use crate::rest::tests::{LIBRARY, pool};

/// `UPDATE_EXPECT=1 cargo test -p api openapi` writes the file.
#[test]
fn the_openapi_document_is_the_one_checked_in() {
    let text = document(&descriptors().unwrap()).unwrap().to_json().unwrap();
    expect_file!["../../openapi.json"].assert_eq(&text);
}

fn names(parameters: &Value) -> Vec<(&str, &str)> {
    let parameters = parameters.as_array().unwrap().iter();
    parameters.map(|one| (one["in"].as_str().unwrap(), one["name"].as_str().unwrap())).collect()
}

#[test]
fn every_form_of_an_annotation_is_described() {
    let text = document(&pool(LIBRARY)).unwrap().to_json().unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let all = ["/v1/shelves/{id}", "/v1/shelves/{id}/books/{book.title}", "/v1/shelves/{id}:fill"];
    assert_eq!(paths.keys().collect::<Vec<_>>(), all);

    let put = &paths[all[0]]["put"];
    assert_eq!(put["description"], "Answers the shelf of the request.");
    assert_eq!(names(&put["parameters"]), [("path", "id")]);
    let body = &put["requestBody"]["content"]["application/json"]["schema"]["properties"];
    assert!(body.get("id").is_none() && body.get("places").is_some(), "{body}");

    let get = &paths[all[1]]["get"];
    let expected = "id book.title places pages_total balance width_m is_open seal kind labels kinds book.pages opened_at loan update_mask \
                    is_lit floor";
    let described: Vec<_> = names(&get["parameters"]).into_iter().map(|(_, name)| name).collect();
    assert_eq!(described, expected.split(' ').collect::<Vec<_>>());
    assert!(get.get("requestBody").is_none());

    let fill = &paths[all[2]]["post"];
    let body = &fill["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!(body["$ref"], "#/components/schemas/library.v1.Book");
    let ids = [&put["operationId"], &get["operationId"], &fill["operationId"]];
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2], "{ids:?}");

    let shelf = &document["components"]["schemas"]["library.v1.Shelf"]["properties"];
    for (field, schema) in [
        ("places", json!({ "type": "integer", "minimum": 0, "maximum": 4_294_967_295_u32 })),
        ("seal", json!({ "type": "string", "contentEncoding": "base64" })),
        ("kind", json!({ "$ref": "#/components/schemas/library.v1.Kind" })),
        ("labels", json!({ "type": "array", "items": { "type": "string" } })),
        ("books", json!({ "type": "array", "items": { "$ref": "#/components/schemas/library.v1.Book" } })),
        ("opened_at", json!({ "type": "string", "format": "date-time" })),
        ("is_lit", json!({ "type": ["boolean", "null"] })),
    ] {
        assert_eq!(shelf[field], schema, "{field}");
    }
    assert_eq!(shelf["counts"]["additionalProperties"]["type"], "integer");
    let kind = &document["components"]["schemas"]["library.v1.Kind"]["enum"];
    assert_eq!(kind, &json!(["KIND_UNSPECIFIED", "NOVEL", "ATLAS"]));
}
