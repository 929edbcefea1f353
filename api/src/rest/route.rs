//! The REST routes that the `.proto` files say: which method and path, what of the request is body and what is query.
//!
//! In: the descriptors. Out: a [`Route`] for each `google.api.http` rule and additional binding of a unary RPC. A rule that
//! cannot be served as it is written is an error here, at the start, and never a surprise for a request.

use http::Method;
use prost_reflect::{DescriptorPool, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor};
use proto::google::api::HttpRule;
use proto::google::api::http_rule::Pattern;

use super::RestError;
use super::template::Template;

/// One method and path, and the RPC behind it.
#[derive(Debug, Clone)]
pub struct Route {
    /// The HTTP method.
    pub method: Method,
    /// The path.
    pub template: Template,
    /// What the body is.
    pub body: Body,
    /// What may stand in the query.
    pub query: Vec<Parameter>,
    /// What is called.
    pub rpc: MethodDescriptor,
}

/// What the body of a request is.
#[derive(Debug, Clone)]
pub enum Body {
    /// There is none.
    None,
    /// Every field that is not in the path.
    Whole,
    /// This field.
    Field(FieldDescriptor),
}

/// A field that stands in the path or the query.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// From the request message, with dots: `alias.id`.
    pub path: String,
    /// The field at its end.
    pub field: FieldDescriptor,
}

/// All routes; of those that match a path, the right one comes first.
///
/// # Errors
/// A rule that cannot be served.
pub fn routes(pool: &DescriptorPool) -> Result<Vec<Route>, RestError> {
    let Some(http) = pool.get_extension_by_name("google.api.http") else { return Ok(Vec::new()) };
    let mut routes: Vec<Route> = Vec::new();
    for service in pool.services() {
        for rpc in service.methods() {
            let options = rpc.options();
            if !options.has_extension(&http) {
                continue;
            }
            let refused = |problem| RestError::Rule { rpc: rpc.full_name().to_owned(), problem };
            let rule = options.get_extension(&http);
            let rule = rule.as_message().map(prost_reflect::DynamicMessage::transcode_to::<HttpRule>);
            let rule = rule.and_then(Result::ok).ok_or_else(|| refused("its rule is none".to_owned()))?;
            for rule in std::iter::once(&rule).chain(&rule.additional_bindings) {
                let route = Route::new(&rpc, rule).map_err(refused)?;
                if let Some(other) = routes.iter().find(|other| other.is_same_request(&route)) {
                    return Err(refused(format!("{route} is {} too", other.rpc.full_name())));
                }
                routes.push(route);
            }
        }
    }
    routes.sort_by_key(|route| route.template.rank());
    Ok(routes)
}

impl Route {
    fn new(rpc: &MethodDescriptor, rule: &HttpRule) -> Result<Self, String> {
        if rpc.is_client_streaming() || rpc.is_server_streaming() {
            return Err(
                "it streams, and only calls with one request and one answer have a REST path".to_owned()
            );
        }
        if !rule.response_body.is_empty() {
            return Err(
                "response_body is not supported; leave it out, the whole message is the answer".to_owned()
            );
        }
        let (method, path) = match &rule.pattern {
            Some(Pattern::Get(path)) => (Method::GET, path),
            Some(Pattern::Put(path)) => (Method::PUT, path),
            Some(Pattern::Post(path)) => (Method::POST, path),
            Some(Pattern::Delete(path)) => (Method::DELETE, path),
            Some(Pattern::Patch(path)) => (Method::PATCH, path),
            Some(Pattern::Custom(_)) | None => {
                return Err("its rule has no get, put, post, delete or patch".to_owned());
            }
        };
        let template: Template = path.parse()?;
        let input = rpc.input();
        let body = match rule.body.as_str() {
            "" => Body::None,
            "*" => Body::Whole,
            name => Body::Field(input.get_field_by_name(name).ok_or_else(|| absent("body", name, &input))?),
        };
        let leaves = leaves(&input);
        for variable in template.variables() {
            let leaf = leaves.iter().find(|leaf| leaf.path == variable);
            if leaf.is_none_or(|leaf| leaf.field.is_list()) {
                return Err(absent("variable", variable, &input));
            }
        }
        let in_path = |leaf: &Parameter| template.variables().any(|variable| variable == leaf.path);
        let in_body = |leaf: &Parameter| match &body {
            Body::None => false,
            Body::Whole => true,
            Body::Field(field) => leaf.path.split('.').next() == Some(field.name()),
        };
        let query = leaves.into_iter().filter(|leaf| !in_path(leaf) && !in_body(leaf)).collect();
        Ok(Self { method, template, body, query, rpc: rpc.clone() })
    }

    fn is_same_request(&self, other: &Self) -> bool {
        self.method == other.method && self.template.shape() == other.template.shape()
    }

    /// The fields in the path.
    pub fn variables(&self) -> impl Iterator<Item = Parameter> {
        let leaves = leaves(&self.rpc.input());
        leaves.into_iter().filter(|leaf| self.template.variables().any(|variable| variable == leaf.path))
    }
}

impl std::fmt::Display for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.template)
    }
}

fn absent(what: &str, name: &str, input: &MessageDescriptor) -> String {
    format!("its {what} {name:?} is no single value in {}", input.full_name())
}

/// The fields of a message, and of the messages in it, that one word or a list of words can say.
fn leaves(message: &MessageDescriptor) -> Vec<Parameter> {
    let mut leaves = Vec::new();
    collect(message, "", &mut Vec::new(), &mut leaves);
    leaves
}

fn collect(message: &MessageDescriptor, prefix: &str, above: &mut Vec<String>, leaves: &mut Vec<Parameter>) {
    // A message within itself has no end of leaves.
    if above.iter().any(|name| name == message.full_name()) {
        return;
    }
    above.push(message.full_name().to_owned());
    // In the order of the file: numbers say when a field came.
    let mut fields: Vec<_> = message.fields().collect();
    fields.sort_by_key(|field| field.path().last().copied());
    for field in fields {
        let path = format!("{prefix}{}", field.name());
        match field.kind() {
            Kind::Message(inner) if !is_word(&inner) => {
                if !field.is_list() && !field.is_map() && !inner.full_name().starts_with("google.protobuf.") {
                    collect(&inner, &format!("{path}."), above, leaves);
                }
            }
            _ => leaves.push(Parameter { path, field }),
        }
    }
    above.pop();
}

/// Whether JSON writes this message as one word.
fn is_word(message: &MessageDescriptor) -> bool {
    let name = message.full_name().strip_prefix("google.protobuf.");
    name.is_some_and(|name| {
        matches!(name, "Timestamp" | "Duration" | "FieldMask")
            || name.ends_with("Value") && name != "Value" && name != "ListValue"
    })
}
