//! Vendor shapes: tools as the vendors of models define them.
//!
//! The forms are those that the vendors publish; excerpts are in `fixtures`, and the tests hold every shape
//! to them. A field that an object lacks was left blank by the publisher.

use serde_json::{Map, Value, json};
use toolweaver_contracts::{Shape, Tool};

use super::{input_schema, names};

/// Returns a tool in a shape. Its name there is [`names::of_tool`], so that a reference and a definition of
/// Anthropic's agree.
pub(super) fn shaped(shape: Shape, tool: &Tool) -> Value {
    match shape {
        Shape::AnthropicToolReference => {
            json!({ "type": "tool_reference", "tool_name": names::of_tool(tool, names::FUNCTION) })
        }
        Shape::AnthropicTool => {
            let mut schema = input_schema::flat_object(&tool.parameters);
            input_schema::rename_arguments(&mut schema);
            described(names::of_tool(tool, names::FUNCTION), tool, "input_schema", schema).into()
        }
        Shape::OpenaiFunction => {
            let mut schema = input_schema::flat_object(&tool.parameters);
            input_schema::fill_items(&mut schema);
            let function = described(names::of_tool(tool, names::FUNCTION), tool, "parameters", schema);
            json!({ "type": "function", "function": function })
        }
        Shape::McpTool => {
            let name = names::of_tool(tool, names::MCP);
            let title = (name != tool.tool_name.as_str()).then(|| tool.tool_name.as_str().into());
            let schema = input_schema::object(&tool.parameters);
            let mut object = described(name, tool, "inputSchema", schema);
            object.extend(title.map(|title| ("title".to_owned(), title)));
            object.into()
        }
    }
}

/// Returns the fields that all definitions have: a name, words and the schema of the arguments.
fn described(
    name: String,
    tool: &Tool,
    schema_field: &str,
    schema: Map<String, Value>,
) -> Map<String, Value> {
    let description = Some(&tool.description).filter(|text| !text.trim().is_empty());
    let fields = [
        Some(("name".to_owned(), name.into())),
        description.map(|text| ("description".to_owned(), text.as_str().into())),
        Some((schema_field.to_owned(), schema.into())),
    ];
    fields.into_iter().flatten().collect()
}
