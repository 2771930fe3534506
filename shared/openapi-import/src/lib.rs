//! Importer of OpenAPI 3.0 and 3.1 documents: one tool per operation.
//!
//! Pure: a document in, tools out. [`parse`] reads JSON or YAML and [`import`] goes through the operations;
//! `arguments` makes one JSON Schema of an operation's parameters and body, `document` follows references,
//! `schema` makes a schema self-contained, `text` makes plain words of Markdown, and `boilerplate` drops the
//! sentences that many operations share. Here does **not** live: publishing; an imported tool takes the same
//! way as a registered one.

mod arguments;
mod boilerplate;
mod document;
mod error;
mod schema;
mod text;

use std::collections::HashSet;

use serde_json::Value;
use toolweaver_contracts::{
    Domain, Tool, ToolName, ToolType,
    limits::{DESCRIPTION_BYTES_MAX, LABEL_BYTES_MAX, LIST_ENTRIES_MAX, TOOL_NAME_BYTES_MAX},
};

pub use self::error::ImportError;
use self::{
    arguments::arguments_of,
    document::Document,
    text::{cut, plain},
};

/// The tools of a document, and counts of everything that was left out of them.
#[derive(Debug)]
pub struct Import {
    /// One per operation, in the document's order; names are unique.
    pub tools: Vec<Tool>,
    /// Schemas that were left out because they lay too deep or made a tool too large.
    pub pruned: usize,
    /// Tools that lost such schemas.
    pub tools_pruned: usize,
    /// References that lead nowhere within the document.
    pub unresolved: usize,
    /// Sentences that many operations share, left out of all of them.
    pub sentences_shared: usize,
}

/// The operations of a path item, in the order the specification names them.
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// Reads a document, JSON or YAML.
pub fn parse(text: &[u8]) -> Result<Value, ImportError> {
    let is_json = text.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    if is_json {
        serde_json::from_slice(text).map_err(ImportError::Json)
    } else {
        serde_yaml_ng::from_slice(text).map_err(ImportError::Yaml)
    }
}

/// Makes one tool of every operation of a document.
pub fn import(root: &Value, domain: &Domain) -> Result<Import, ImportError> {
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
        return Err(ImportError::NoOperations);
    }
    import.sentences_shared = boilerplate::remove(&mut import.tools);
    Ok(import)
}

fn check_version(root: &Value) -> Result<(), ImportError> {
    match root.get("openapi").and_then(Value::as_str) {
        Some(version) if version.starts_with("3.") => Ok(()),
        Some(version) => Err(ImportError::Version { version: version.to_owned() }),
        None if root.get("swagger").is_some() => Err(ImportError::Swagger),
        None => Err(ImportError::NoVersion),
    }
}

fn name_of(method: &str, path: &str, operation: &Value) -> String {
    let id = operation.get("operationId").and_then(Value::as_str).unwrap_or_default();
    // Control characters are the one thing a tool name may not hold.
    let id: String = id.chars().filter(|c| !c.is_control()).collect();
    if id.trim().is_empty() { format!("{method} {path}") } else { id }
}

/// Returns the name, with a number behind it where an earlier operation took it.
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

/// Returns summary and description in plain words; without either, method and path.
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
