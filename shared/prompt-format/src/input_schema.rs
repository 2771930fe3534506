//! Input schemas: the parameters of a tool as the object schema that a vendor takes.
//!
//! Publishers may write any JSON object into `parameters`. One definition that a vendor refuses costs the
//! agent its whole request, so that a looser schema is better than a refused one; the tool itself still
//! checks its arguments.

mod alternatives;

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use self::alternatives::Arguments;
use super::names;

type Schema = Map<String, Value>;

/// Keywords that `OpenAI` refuses at the top; Anthropic refuses the first three.
const REFUSED_AT_TOP: [&str; 6] = ["oneOf", "anyOf", "allOf", "not", "enum", "const"];
/// The argument that holds the input of a tool which takes no object.
const WHOLE_INPUT: &str = "input";

/// Returns the parameters as an object schema. Everything stays but what no object schema may say: another
/// `type`, properties that are no schemas, a `required` that is no list of names. Parameters of another type,
/// a string or a list, become those of the one argument `input`.
pub(super) fn object(parameters: &Schema) -> Schema {
    let mut schema = Schema::from_iter([("type".to_owned(), json!("object"))]);
    if admits_objects(parameters) {
        schema.insert("properties".to_owned(), properties(parameters).into());
        let required: Vec<_> = required(parameters).collect();
        if !required.is_empty() {
            schema.insert("required".to_owned(), json!(required));
        }
        let own = ["type", "properties", "required"];
        schema.extend(parameters.clone().into_iter().filter(|(key, _)| !own.contains(&key.as_str())));
    } else {
        let mut input = parameters.clone();
        let shared = ["$schema", "$defs", "definitions"].map(|key| input.shift_remove_entry(key));
        schema.insert("properties".to_owned(), json!({ WHOLE_INPUT: input }));
        schema.insert("required".to_owned(), json!([WHOLE_INPUT]));
        // References into them start at the top.
        schema.extend(shared.into_iter().flatten());
    }
    if schema.get("$schema").is_some_and(|dialect| !dialect.is_string()) {
        schema.shift_remove("$schema");
    }
    schema
}

/// Returns the parameters as an object schema without alternatives at its top, which Anthropic and `OpenAI`
/// refuse.
///
/// The arguments of all alternatives become arguments of the tool; required are those that every alternative
/// requires, and the description says which go together. What `allOf` or a reference adds is added. `not`,
/// `enum` and `const` at the top are left out.
pub(super) fn flat_object(parameters: &Schema) -> Schema {
    let mut schema = object(parameters);
    let is_flat = |key: &String| !REFUSED_AT_TOP.contains(&key.as_str()) && key != "$ref";
    if schema.keys().all(is_flat) {
        return schema;
    }
    let arguments = Arguments::of(&schema);
    schema.retain(|key, _| is_flat(key));
    schema.insert("properties".to_owned(), arguments.properties.into());
    schema.shift_remove("required");
    if !arguments.required.is_empty() {
        schema.insert("required".to_owned(), json!(arguments.required));
    }
    if !arguments.choices.is_empty() {
        let said = schema.get("description").and_then(Value::as_str).unwrap_or_default();
        let description = format!("{said} {}", arguments.choices.join(" "));
        schema.insert("description".to_owned(), description.trim_start().into());
    }
    schema
}

/// Gives arguments names that Anthropic takes. A renamed one bears its own name as its `title`, from which
/// the agent's host gives it back before it calls the tool.
pub(super) fn rename_arguments(schema: &mut Schema) {
    let properties = properties(schema);
    let old: Vec<&str> = properties.keys().map(String::as_str).collect();
    let new = names::of_arguments(&old);
    if new == old {
        return;
    }
    let new_of: HashMap<&str, &str> = old.iter().copied().zip(new.iter().map(String::as_str)).collect();
    let required: Vec<&str> = required(schema).map(|name| *new_of.get(name).unwrap_or(&name)).collect();
    if !required.is_empty() {
        schema.insert("required".to_owned(), json!(required));
    }
    let renamed = properties.iter().zip(&new).map(|((old, property), new)| {
        let mut property = property.clone();
        if let Some(property) = property.as_object_mut().filter(|_| old != new) {
            property.insert("title".to_owned(), old.as_str().into());
        }
        (new.clone(), property)
    });
    let renamed: Schema = renamed.collect();
    schema.insert("properties".to_owned(), renamed.into());
}

/// States of each list without `items` that they may be anything, which is what their absence means; `OpenAI`
/// refuses the absence, and `true` and `false` in its place.
pub(super) fn fill_items(schema: &mut Schema) {
    let is_list = schema.get("type").is_some_and(|kind| names_type(kind, "array"));
    if is_list && matches!(schema.get("items"), None | Some(Value::Bool(_))) {
        schema.insert("items".to_owned(), json!({}));
    }
    for (key, value) in schema {
        match (key.as_str(), value) {
            ("properties" | "patternProperties" | "$defs" | "definitions", Value::Object(schemas)) => {
                schemas.values_mut().filter_map(Value::as_object_mut).for_each(fill_items);
            }
            ("items" | "additionalProperties" | "not", Value::Object(schema)) => fill_items(schema),
            ("anyOf" | "oneOf" | "allOf" | "prefixItems", Value::Array(schemas)) => {
                schemas.iter_mut().filter_map(Value::as_object_mut).for_each(fill_items);
            }
            _ => {}
        }
    }
}

/// Returns the properties as objects: `true` is `{}`, and so is what is no schema; `false` is what nothing
/// is.
fn properties(schema: &Schema) -> Schema {
    let written = schema.get("properties").and_then(Value::as_object);
    let as_object = |property: &Value| match property {
        Value::Object(_) => property.clone(),
        Value::Bool(false) => json!({ "not": {} }),
        _ => json!({}),
    };
    written.into_iter().flatten().map(|(name, property)| (name.clone(), as_object(property))).collect()
}

/// Returns the names in `required`.
fn required(schema: &Schema) -> impl Iterator<Item = &str> {
    schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// Returns the schemas below a keyword that has a list of them.
fn subschemas<'a>(schema: &'a Schema, keyword: &str) -> impl Iterator<Item = &'a Schema> {
    schema.get(keyword).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object)
}

/// Tells whether an object could be valid. What is no type counts as none.
fn admits_objects(schema: &Schema) -> bool {
    let is_other = |kind: &str| ["array", "boolean", "integer", "null", "number", "string"].contains(&kind);
    let excludes_objects = match schema.get("type") {
        Some(Value::String(kind)) => is_other(kind),
        Some(Value::Array(kinds)) => {
            !kinds.is_empty() && kinds.iter().all(|kind| kind.as_str().is_some_and(is_other))
        }
        _ => false,
    };
    let alternatives_do = |keyword| {
        let mut alternatives = subschemas(schema, keyword).peekable();
        alternatives.peek().is_none() || alternatives.any(admits_objects)
    };
    !excludes_objects && ["oneOf", "anyOf"].into_iter().all(alternatives_do)
}

/// Tells whether a `type` is this one, or a list with it.
fn names_type(kind: &Value, name: &str) -> bool {
    kind == name || kind.as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == name))
}
