//! Arguments of an operation: path, query and header parameters and the fields of its body, as one JSON
//! Schema object.

use serde_json::{Map, Value, json};
use toolweaver_contracts::limits::{DESCRIPTION_BYTES_MAX, EVENT_BYTES_MAX, PARAMETERS_DEPTH_MAX};

use super::{
    document::Document,
    schema::{Expander, Losses, TooLarge, is_read_only},
};

/// Largest schema of a tool's arguments, in bytes: the rest of the event is for its words.
const SCHEMA_BYTES_MAX: usize = EVENT_BYTES_MAX - 2 * DESCRIPTION_BYTES_MAX;
/// Headers that OpenAPI excludes from parameters, because the client sets them anyway.
const CLIENT_HEADERS: [&str; 3] = ["accept", "content-type", "authorization"];
/// Depth at which the schema of one argument stands: below the object and its `properties`.
const ARGUMENT_DEPTH: usize = 3;

/// Argument schema of one operation.
#[derive(Debug)]
pub(crate) struct Arguments {
    /// A JSON Schema object.
    pub(crate) schema: Map<String, Value>,
    /// Schemas left out because they lay too deep, or made the whole too large.
    pub(crate) pruned: usize,
    /// References that lead nowhere within the document.
    pub(crate) unresolved: usize,
}

struct Argument<'a> {
    name: String,
    schema: &'a Value,
    description: Option<&'a str>,
    required: bool,
}

/// Builds the argument schema of an operation of a path item.
pub(crate) fn arguments_of<'a>(document: Document<'a>, item: &'a Value, operation: &'a Value) -> Arguments {
    let mut arguments = parameters(document, item, operation);
    body(document, operation, &mut arguments);
    // Size only grows with depth, so the deepest that fits is found by halving; a shallow cut is always small
    // enough unless the arguments alone are too many.
    let (mut fitting, mut too_deep) = (ARGUMENT_DEPTH - 1, PARAMETERS_DEPTH_MAX + 1);
    let mut best = None;
    let mut depth = PARAMETERS_DEPTH_MAX;
    while fitting < depth && depth < too_deep {
        match expand(document, &arguments, depth) {
            Ok((schema, losses)) => {
                best = Some((schema, losses));
                fitting = depth;
            }
            Err(TooLarge) => too_deep = depth,
        }
        depth = usize::midpoint(fitting, too_deep);
    }
    let (schema, losses) = best.unwrap_or_else(|| {
        let schema = Map::from_iter([("type".to_owned(), "object".into())]);
        (schema, Losses { pruned: arguments.len(), unresolved: 0 })
    });
    Arguments { schema, pruned: losses.pruned, unresolved: losses.unresolved }
}

fn expand(
    document: Document<'_>,
    arguments: &[Argument<'_>],
    depth_max: usize,
) -> Result<(Map<String, Value>, Losses), TooLarge> {
    let mut expander = Expander::new(document, depth_max, SCHEMA_BYTES_MAX);
    let mut properties = Map::new();
    for argument in arguments {
        let schema = expander.schema(argument.schema, ARGUMENT_DEPTH)?;
        let mut schema = schema.unwrap_or_else(|| json!({}));
        if let (Some(text), Some(fields)) = (argument.description, schema.as_object_mut()) {
            fields.insert("description".to_owned(), super::text::plain(text).into());
        }
        properties.insert(argument.name.clone(), schema);
    }
    let required: Vec<Value> = arguments
        .iter()
        .filter(|argument| argument.required)
        .map(|argument| argument.name.clone().into())
        .collect();
    let mut schema =
        Map::from_iter([("type".to_owned(), "object".into()), ("properties".to_owned(), properties.into())]);
    if !required.is_empty() {
        schema.insert("required".to_owned(), required.into());
    }
    // The expander counts roughly; this is what travels.
    let bytes = serde_json::to_vec(&schema).map_or(usize::MAX, |text| text.len());
    if bytes > SCHEMA_BYTES_MAX { Err(TooLarge) } else { Ok((schema, expander.losses)) }
}

/// Returns path, query and header parameters; those of the operation override those of its path.
fn parameters<'a>(document: Document<'a>, item: &'a Value, operation: &'a Value) -> Vec<Argument<'a>> {
    let mut found: Vec<(&str, &str, &Value)> = Vec::new();
    for holder in [item, operation] {
        for parameter in holder.get("parameters").and_then(Value::as_array).into_iter().flatten() {
            let parameter = document.follow(parameter);
            let text = |field| parameter.get(field).and_then(Value::as_str);
            let (Some(name), Some(place)) = (text("name"), text("in")) else { continue };
            let is_client_header =
                place == "header" && CLIENT_HEADERS.contains(&name.to_ascii_lowercase().as_str());
            if !matches!(place, "path" | "query" | "header") || is_client_header {
                continue;
            }
            match found.iter_mut().find(|(n, p, _)| (*n, *p) == (name, place)) {
                Some(earlier) => earlier.2 = parameter,
                None => found.push((name, place, parameter)),
            }
        }
    }
    let mut arguments = Vec::with_capacity(found.len());
    for (name, place, parameter) in found {
        let content = || first_schema(parameter.get("content")?);
        let argument = Argument {
            name: free_name(name, place, &arguments),
            schema: parameter.get("schema").or_else(content).unwrap_or(&Value::Bool(true)),
            description: parameter.get("description").and_then(Value::as_str),
            required: place == "path" || parameter.get("required") == Some(&Value::Bool(true)),
        };
        arguments.push(argument);
    }
    arguments
}

/// Adds the fields of the request body; a body that is not an object becomes one argument, `body`.
fn body<'a>(document: Document<'a>, operation: &'a Value, arguments: &mut Vec<Argument<'a>>) {
    let Some(body) = operation.get("requestBody").map(|body| document.follow(body)) else { return };
    let Some(schema) = body.get("content").and_then(first_schema) else { return };
    let is_required = body.get("required") == Some(&Value::Bool(true));
    let mut fields = Fields::default();
    fields.collect(document, schema, 0);
    if fields.properties.is_empty() {
        arguments.push(Argument {
            name: free_name("body", "body", arguments),
            schema,
            description: body.get("description").and_then(Value::as_str),
            required: is_required,
        });
        return;
    }
    for (name, schema) in fields.properties {
        if is_read_only(document, schema) {
            continue;
        }
        arguments.push(Argument {
            name: free_name(name, "body", arguments),
            schema,
            description: None,
            // A body that may be left out requires none of its fields.
            required: is_required && fields.required.contains(&name),
        });
    }
}

/// The properties of an object schema, gathered through references and `allOf`.
#[derive(Default)]
struct Fields<'a> {
    properties: Vec<(&'a str, &'a Value)>,
    required: Vec<&'a str>,
}

impl<'a> Fields<'a> {
    fn collect(&mut self, document: Document<'a>, schema: &'a Value, nesting: usize) {
        /// Deepest `allOf` within `allOf` that is followed; a document that refers to itself ends here.
        const NESTING_MAX: usize = 16;
        if nesting > NESTING_MAX {
            return;
        }
        let schema = document.follow(schema);
        for member in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.collect(document, member, nesting + 1);
        }
        for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            match self.properties.iter_mut().find(|(known, _)| known == name) {
                Some(known) => known.1 = property,
                None => self.properties.push((name, property)),
            }
        }
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        self.required.extend(required.filter_map(Value::as_str));
    }
}

/// Returns the schema of the media type that an agent can fill in best: JSON, else forms, else whatever comes
/// first.
fn first_schema(content: &Value) -> Option<&Value> {
    let content = content.as_object()?;
    let preference = |media: &str| match media.split(';').next().unwrap_or_default().trim() {
        "application/json" => 0,
        media if media.ends_with("+json") => 1,
        "*/*" | "application/*" => 2,
        "application/x-www-form-urlencoded" => 3,
        "multipart/form-data" => 4,
        _ => 5,
    };
    let with_schema = content.iter().filter(|(_, media)| media.get("schema").is_some());
    with_schema.min_by_key(|(name, _)| preference(name)).and_then(|(_, media)| media.get("schema"))
}

/// Returns the name, with its place behind it where another argument has it already.
fn free_name(name: &str, place: &str, arguments: &[Argument<'_>]) -> String {
    let is_taken = |name: &str| arguments.iter().any(|argument| argument.name == name);
    let mut free = name.to_owned();
    while is_taken(&free) {
        free = format!("{free}__{place}");
    }
    free
}
