//! A tool as its publisher describes it.

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    Domain, Fault, ToolName,
    limits::{
        DESCRIPTION_BYTES_MAX, EXAMPLE_BYTES_MAX, LABEL_BYTES_MAX, LIST_ENTRIES_MAX, PARAMETERS_DEPTH_MAX,
    },
};

/// The kind of runtime that runs a tool.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ToolType {
    /// A tool of an MCP server.
    McpWorker,
    /// A function or API operation.
    #[default]
    Function,
    /// A piece of code to execute.
    CodeExec,
}

impl ToolType {
    /// Returns the name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::McpWorker => "mcp_worker",
            Self::Function => "function",
            Self::CodeExec => "code_exec",
        }
    }
}

/// A tool that an agent can call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Tool {
    /// Its name, unique within tenant and domain; equal to the subject's last token, decoded.
    pub tool_name: ToolName,
    /// The kind of runtime that runs it.
    #[serde(default)]
    pub tool_type: ToolType,
    /// Its shard; an event that leaves it out means the domain of its subject.
    #[serde(default)]
    #[schemars(transform = without_default)]
    pub domain: Domain,
    /// Its description, in words; at most 16 KiB of UTF-8.
    #[serde(default)]
    #[schemars(length(max = DESCRIPTION_BYTES_MAX))]
    pub description: String,
    /// JSON Schema of its arguments: an object, nested at most 32 deep.
    #[serde(default)]
    pub parameters: Map<String, Value>,
    /// Its version, as the publisher counts; at most 256 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = LABEL_BYTES_MAX))]
    pub version: Option<String>,
    /// When the publisher last changed it; RFC 3339 by convention, never interpreted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = LABEL_BYTES_MAX))]
    pub last_updated: Option<String>,
    /// Labels to filter by, each at most 256 bytes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = LIST_ENTRIES_MAX), inner(length(min = 1, max = LABEL_BYTES_MAX)))]
    pub tags: Vec<String>,
    /// Requests that this tool answers, in plain words, each at most 2 KiB.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = LIST_ENTRIES_MAX), inner(length(min = 1, max = EXAMPLE_BYTES_MAX)))]
    pub examples: Vec<String>,
    /// The publisher's name; at most 256 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = LABEL_BYTES_MAX))]
    pub publisher: Option<String>,
    /// Roles that may see it; empty means everyone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = LIST_ENTRIES_MAX), inner(length(min = 1, max = LABEL_BYTES_MAX)))]
    pub allowed_roles: Vec<String>,
}

impl Tool {
    /// Checks the limits that the types do not hold. Pointers start at `prefix`, the place of the tool in its
    /// body.
    pub(crate) fn validate(&self, prefix: &str) -> Result<(), Fault> {
        check_bytes(prefix, "description", &self.description, DESCRIPTION_BYTES_MAX)?;
        for (field, text) in
            [("version", &self.version), ("last_updated", &self.last_updated), ("publisher", &self.publisher)]
        {
            check_bytes(prefix, field, text.as_deref().unwrap_or_default(), LABEL_BYTES_MAX)?;
        }
        for (field, list, bytes_max) in [
            ("tags", &self.tags, LABEL_BYTES_MAX),
            ("examples", &self.examples, EXAMPLE_BYTES_MAX),
            ("allowed_roles", &self.allowed_roles, LABEL_BYTES_MAX),
        ] {
            check_list(prefix, field, list, bytes_max)?;
        }
        let depth = depth_of(&self.parameters);
        if depth > PARAMETERS_DEPTH_MAX {
            return Err(Fault::bad(
                format!("{prefix}/parameters"),
                format!("parameters are nested {depth} deep, at most {PARAMETERS_DEPTH_MAX} are allowed"),
            )
            .hint("flatten the schema, or move shared parts into $defs"));
        }
        Ok(())
    }
}

/// Checks a list of labels or sentences at `prefix/field`.
pub(crate) fn check_list(prefix: &str, field: &str, list: &[String], bytes_max: usize) -> Result<(), Fault> {
    if list.len() > LIST_ENTRIES_MAX {
        return Err(Fault::bad(
            format!("{prefix}/{field}"),
            format!("{field} has {} entries, at most {LIST_ENTRIES_MAX} are allowed", list.len()),
        )
        .hint("keep those that tell most"));
    }
    for (i, entry) in list.iter().enumerate() {
        if entry.is_empty() {
            return Err(Fault::bad(
                format!("{prefix}/{field}/{i}"),
                format!("an entry of {field} must not be empty"),
            )
            .hint("leave it out"));
        }
        check_bytes(prefix, &format!("{field}/{i}"), entry, bytes_max)?;
    }
    Ok(())
}

/// Removes the default: that of `domain` depends on the subject, so the schema must not promise one.
fn without_default(schema: &mut Schema) {
    schema.remove("default");
}

fn check_bytes(prefix: &str, field: &str, text: &str, bytes_max: usize) -> Result<(), Fault> {
    if text.len() <= bytes_max {
        return Ok(());
    }
    Err(Fault::bad(
        format!("{prefix}/{field}"),
        format!("{field} is {} bytes long, at most {bytes_max} are allowed", text.len()),
    )
    .hint("shorten it"))
}

/// Returns the nesting depth of an object; the object itself counts 1. Iterative, so that no input can
/// overflow the stack.
fn depth_of(object: &Map<String, Value>) -> usize {
    let mut deepest = 1;
    let mut open: Vec<(&Value, usize)> = object.values().map(|value| (value, 2)).collect();
    while let Some((value, depth)) = open.pop() {
        match value {
            Value::Array(items) => {
                deepest = deepest.max(depth);
                open.extend(items.iter().map(|item| (item, depth + 1)));
            }
            Value::Object(fields) => {
                deepest = deepest.max(depth);
                open.extend(fields.values().map(|field| (field, depth + 1)));
            }
            _ => {}
        }
    }
    deepest
}
