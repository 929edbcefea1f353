//! The description of the HTTP/JSON face as an OpenAPI 3.1 document.
//!
//! In: the descriptors, whose annotations are the paths and whose comments are the descriptions. Out: the document, always in
//! the same order; `api/openapi.json` is a copy of it, and a test holds the two together. Only the report route, whose rows are
//! objects with names, is described by hand.

use std::collections::BTreeMap;

use prost_reflect::{DescriptorPool, MethodDescriptor};
use serde::Serialize;
use serde_json::{Value, json};

use crate::refuse::Code;
use crate::rest::{Parameter, RestError, Route, RouteBody, routes};

mod schema;

use schema::{Object, Schema, Schemas, comment};

/// What every request that is refused answers.
const ERROR: &str = "Error";

/// A report, whose JSON is not that of its message.
const REPORT: &str = "Report";

/// The document.
#[derive(Debug, Serialize)]
pub struct Document {
    openapi: &'static str,
    info: Value,
    security: Value,
    tags: Vec<Value>,
    paths: BTreeMap<String, BTreeMap<String, Operation>>,
    components: Components,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Components {
    security_schemes: Value,
    responses: Value,
    schemas: BTreeMap<String, Schema>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Operation {
    tags: [String; 1],
    operation_id: String,
    description: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parameters: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_body: Option<Content>,
    responses: BTreeMap<&'static str, Value>,
}

#[derive(Debug, Serialize)]
struct Content {
    required: bool,
    content: BTreeMap<&'static str, Media>,
}

#[derive(Debug, Serialize)]
struct Media {
    schema: Schema,
}

impl Document {
    /// Its text, for the file and for who asks the api.
    ///
    /// # Errors
    /// Not with this document.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}

/// Describes every annotated RPC, and the report route.
///
/// # Errors
/// An annotation that cannot be served.
pub fn document(pool: &DescriptorPool) -> Result<Document, RestError> {
    let mut schemas = Schemas::default();
    let mut paths: BTreeMap<String, BTreeMap<String, Operation>> = BTreeMap::new();
    let mut services = BTreeMap::new();
    let mut uses: BTreeMap<String, usize> = BTreeMap::new();
    for route in routes(pool)? {
        let service = route.rpc.parent_service();
        services.insert(service.full_name().to_owned(), service.clone());
        let mut id = format!("{}_{}", service.name(), route.rpc.name());
        let bindings = uses.entry(id.clone()).or_default();
        *bindings += 1;
        if *bindings > 1 {
            id = format!("{id}_{bindings}");
        }
        let path = paths.entry(route.template.to_string()).or_default();
        path.insert(route.method.as_str().to_ascii_lowercase(), operation(&mut schemas, id, &route));
    }
    let report = pool.get_service_by_name("meridian.report.v1.ReportService");
    for rpc in report.iter().flat_map(|service| service.methods().collect::<Vec<_>>()) {
        services.insert(rpc.parent_service().full_name().to_owned(), rpc.parent_service().clone());
        let path = paths.entry("/v1/reports/run".to_owned()).or_default();
        path.insert("post".to_owned(), run_report(&mut schemas, &rpc));
    }
    schemas.insert(ERROR, error());
    let tags = services.values().map(|service| {
        json!({ "name": service.name(), "description": comment(&service.parent_file(), service.path()) })
    });
    Ok(Document {
        openapi: "3.1.0",
        info: json!({
            "title": "Meridian",
            "version": "v1",
            "description": "Reports and configuration over HTTP. The same services are there over gRPC. Unknown fields and parameters of \
                            requests are refused; answers may get more fields.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        }),
        security: json!([{ "bearer": [] }, { "api_key": [] }]),
        tags: tags.collect(),
        paths,
        components: Components {
            security_schemes: json!({
                "bearer": { "type": "http", "scheme": "bearer" },
                "api_key": { "type": "apiKey", "in": "header", "name": "x-goog-api-key" },
            }),
            responses: json!({ ERROR: {
                "description": "Refused. 503 comes with Retry-After.",
                "content": { "application/json": { "schema": schema::reference(ERROR) } },
            } }),
            schemas: schemas.into_all(),
        },
    })
}

fn operation(schemas: &mut Schemas, operation_id: String, route: &Route) -> Operation {
    let in_path = route.variables().map(|variable| parameter(schemas, &variable, "path")).collect::<Vec<_>>();
    let in_query = route.query.iter().map(|field| parameter(schemas, field, "query")).collect::<Vec<_>>();
    let input = route.rpc.input();
    let body = match &route.body {
        RouteBody::None => None,
        RouteBody::Field(field) => Some(Schema::Value(schemas.field(field))),
        RouteBody::Whole if in_path.is_empty() => Some(Schema::Value(schemas.message(&input))),
        RouteBody::Whole => {
            let is_left = |name: &str| route.template.variables().all(|variable| variable != name);
            Some(Schema::Object(schemas.object(&input, is_left)))
        }
    };
    let answer = Schema::Value(schemas.message(&route.rpc.output()));
    Operation {
        tags: [route.rpc.parent_service().name().to_owned()],
        operation_id,
        description: described(&route.rpc),
        parameters: [in_path, in_query].concat(),
        request_body: body.map(content),
        responses: responses(&answer, &comment(&route.rpc.output().parent_file(), route.rpc.output().path())),
    }
}

fn run_report(schemas: &mut Schemas, rpc: &MethodDescriptor) -> Operation {
    let request = Schema::Value(schemas.message(&rpc.input()));
    let output = rpc.output();
    let Object { description, mut properties } = schemas.object(&output, |name| {
        ["row_count", "time_zone", "data_until", "elapsed_ms", "notes"].contains(&name)
    });
    let described = |name: &str| {
        let field = output.get_field_by_name(name);
        field.map(|field| comment(&field.parent_file(), field.path())).unwrap_or_default()
    };
    let values = |types: Value| json!({ "type": "object", "additionalProperties": { "type": types } });
    let row = values(json!(["string", "number", "null"]));
    let rows = json!({ "type": "array", "items": row, "description": format!("{} Each is an object with the dimensions and metrics of the request by name.", described("rows")) });
    let mut totals = values(json!(["number", "null"]));
    totals["description"] = json!(described("totals"));
    properties.splice(0..0, [("rows".to_owned(), rows), ("totals".to_owned(), totals)]);
    schemas.insert(REPORT, Schema::Object(Object { description: description.clone(), properties }));
    Operation {
        tags: [rpc.parent_service().name().to_owned()],
        operation_id: format!("{}_{}", rpc.parent_service().name(), rpc.name()),
        description: self::described(rpc),
        parameters: Vec::new(),
        request_body: Some(content(request)),
        responses: responses(&Schema::Value(schema::reference(REPORT)), &description),
    }
}

fn described(rpc: &MethodDescriptor) -> String {
    comment(&rpc.parent_file(), rpc.path())
}

fn parameter(schemas: &mut Schemas, parameter: &Parameter, place: &str) -> Value {
    let Parameter { path, field } = parameter;
    let schema = schemas.field_without_description(field);
    let description = comment(&field.parent_file(), field.path());
    let is_required = place == "path";
    json!({ "name": path, "in": place, "required": is_required, "description": description, "schema": schema })
}

fn content(schema: Schema) -> Content {
    Content { required: true, content: BTreeMap::from([("application/json", Media { schema })]) }
}

fn responses(answer: &Schema, description: &str) -> BTreeMap<&'static str, Value> {
    let ok = json!({
        "description": description,
        "content": { "application/json": { "schema": answer } },
    });
    BTreeMap::from([("200", ok), ("default", json!({ "$ref": format!("#/components/responses/{ERROR}") }))])
}

fn error() -> Schema {
    let text = |description: &str| json!({ "type": "string", "description": description });
    let mut code = text("What kind of refusal it is.");
    code["enum"] = Code::ALL.map(Code::as_str).into();
    Schema::Value(json!({
        "type": "object",
        "required": ["error"],
        "properties": { "error": {
            "type": "object",
            "required": ["code", "field", "value", "message"],
            "properties": {
                "code": code,
                "field": text("The field of the request that is wrong, or nothing."),
                "value": text("Its value, cut when it is long."),
                "message": text("One sentence for people; names field and value and what would be right."),
            },
        } },
    }))
}

#[cfg(test)]
mod tests;
