//! Any OpenAPI 3.0 or 3.1 document as tools: one tool per operation.
//!
//! Here live reading the document and going through its operations. What an operation's arguments look like is
//! [`arguments`], how references are followed is [`document`], how a schema becomes self-contained is [`schema`], how
//! Markdown becomes plain words is [`text`], and what is said of every operation is left out by [`boilerplate`].
//! Here does **not** live: publishing; an imported tool takes the same way as a registered one.

mod arguments;
mod boilerplate;
mod document;
mod schema;
mod text;

use std::collections::HashSet;

use serde_json::Value;
use toolweaver_contracts::{
    Domain, Fault, Tool, ToolName, ToolType,
    limits::{DESCRIPTION_BYTES_MAX, LABEL_BYTES_MAX, LIST_ENTRIES_MAX, TOOL_NAME_BYTES_MAX},
};

use self::{
    arguments::arguments_of,
    document::Document,
    text::{cut, plain},
};

/// What a document became.
#[derive(Debug)]
pub(crate) struct Import {
    /// One per operation, in the document's order; names are unique.
    pub(crate) tools: Vec<Tool>,
    /// Schemas that were left out because they lay too deep or made a tool too large.
    pub(crate) pruned: usize,
    /// Tools that lost such schemas.
    pub(crate) tools_pruned: usize,
    /// References that lead nowhere within the document.
    pub(crate) unresolved: usize,
    /// Sentences that many operations share, left out of all of them.
    pub(crate) sentences_shared: usize,
}

/// The operations of a path item, in the order the specification names them.
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// Reads a document, JSON or YAML.
pub(crate) fn parse(text: &[u8]) -> Result<Value, Fault> {
    let form = "give an OpenAPI 3.0 or 3.1 document, as JSON or YAML";
    let is_json = text.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    if is_json {
        serde_json::from_slice(text)
            .map_err(|error| Fault::bad("", format!("the document is not JSON: {error}")).hint(form))
    } else {
        serde_yaml_ng::from_slice(text)
            .map_err(|error| Fault::bad("", format!("the document is not YAML: {error}")).hint(form))
    }
}

/// Makes one tool of every operation.
pub(crate) fn import(root: &Value, domain: &Domain) -> Result<Import, Fault> {
    check_version(root)?;
    let document = Document::new(root);
    let label =
        |pointer| root.pointer(pointer).and_then(Value::as_str).map(|text| cut(text, LABEL_BYTES_MAX));
    let version = label("/info/version").filter(|text| !text.is_empty());
    let publisher = label("/info/title").filter(|text| !text.is_empty());
    let mut import =
        Import { tools: Vec::new(), pruned: 0, tools_pruned: 0, unresolved: 0, sentences_shared: 0 };
    let mut taken = HashSet::new();
    for (path, item) in root.pointer("/paths").and_then(Value::as_object).into_iter().flatten() {
        let item = document.follow(item);
        for method in METHODS {
            let Some(operation) = item.get(method).filter(|operation| operation.is_object()) else {
                continue;
            };
            let arguments = arguments_of(document, item, operation);
            import.pruned += arguments.pruned;
            import.tools_pruned += usize::from(arguments.pruned > 0);
            import.unresolved += arguments.unresolved;
            import.tools.push(Tool {
                tool_name: free_name(&name_of(method, path, operation), &mut taken),
                tool_type: ToolType::Function,
                domain: domain.clone(),
                description: description_of(method, path, operation),
                parameters: arguments.schema,
                version: version.clone(),
                last_updated: None,
                tags: tags_of(operation),
                examples: Vec::new(),
                publisher: publisher.clone(),
                allowed_roles: Vec::new(),
            });
        }
    }
    if import.tools.is_empty() {
        return Err(Fault::bad("/paths", "the document has no operations").hint(
            "give a document with `paths`; webhooks and callbacks cannot be called, so they are no tools",
        ));
    }
    import.sentences_shared = boilerplate::remove(&mut import.tools);
    Ok(import)
}

fn check_version(root: &Value) -> Result<(), Fault> {
    if let Some(version) = root.get("openapi").and_then(Value::as_str) {
        if version.starts_with("3.") {
            return Ok(());
        }
        return Err(Fault::bad("/openapi", format!("OpenAPI {version} is not understood"))
            .hint("give an OpenAPI 3.0 or 3.1 document"));
    }
    if root.get("swagger").is_some() {
        return Err(Fault::bad("/swagger", "this is a Swagger 2.0 document")
            .hint("convert it to OpenAPI 3 first, for example with swagger2openapi"));
    }
    Err(Fault::bad("/openapi", "missing field `openapi`").hint("give an OpenAPI 3.0 or 3.1 document"))
}

fn name_of(method: &str, path: &str, operation: &Value) -> String {
    let id = operation.get("operationId").and_then(Value::as_str).unwrap_or_default();
    // Control characters are the one thing a tool name may not hold.
    let id: String = id.chars().filter(|c| !c.is_control()).collect();
    if id.trim().is_empty() { format!("{method} {path}") } else { id }
}

/// The name, with a number behind it where an earlier operation took it.
fn free_name(name: &str, taken: &mut HashSet<String>) -> ToolName {
    let mut free = cut(name, TOOL_NAME_BYTES_MAX);
    let mut count = 1_u32;
    while !taken.insert(free.clone()) {
        count += 1;
        let suffix = format!("_{count}");
        free = cut(name, TOOL_NAME_BYTES_MAX - suffix.len()) + &suffix;
    }
    free.parse().expect("the name is not blank, short enough and free of control characters")
}

/// Summary and description in plain words; an operation without either is told by its method and path.
fn description_of(method: &str, path: &str, operation: &Value) -> String {
    let field = |name| operation.get(name).and_then(Value::as_str).map(plain).unwrap_or_default();
    let (summary, description) = (field("summary"), field("description"));
    let text = if description.starts_with(&summary) {
        description
    } else if description.is_empty() {
        summary
    } else if summary.ends_with(['.', '!', '?']) {
        format!("{summary} {description}")
    } else {
        format!("{summary}. {description}")
    };
    if text.is_empty() {
        format!("{} {path}", method.to_uppercase())
    } else {
        cut(&text, DESCRIPTION_BYTES_MAX)
    }
}

fn tags_of(operation: &Value) -> Vec<String> {
    let mut tags: Vec<String> = Vec::new();
    let deprecated = operation.get("deprecated") == Some(&Value::Bool(true));
    let own = operation.get("tags").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    for tag in deprecated.then_some("deprecated").into_iter().chain(own) {
        let tag = cut(tag.trim(), LABEL_BYTES_MAX);
        if !tag.is_empty() && !tags.contains(&tag) && tags.len() < LIST_ENTRIES_MAX {
            tags.push(tag);
        }
    }
    tags
}

#[cfg(test)]
mod tests;
