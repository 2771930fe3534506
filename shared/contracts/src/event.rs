//! The events that publishers send: a tool is registered, or removed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Fault, Tool, ToolKey,
    decode::{from_value, parse},
    limits::EVENT_BYTES_MAX,
    subjects,
};

/// An event on `tools.v1.<tenant>.<domain>.<tool>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum ToolEvent {
    /// The tool exists, and this is all of it; a later registration replaces an earlier one.
    Registered {
        /// The tool.
        tool: Box<Tool>,
    },
    /// The tool does not exist any more.
    Removed,
}

impl ToolEvent {
    /// Reads an event and the identity it is about; subject and body must agree.
    pub fn decode(subject: &str, body: &[u8]) -> Result<(ToolKey, Self), Fault> {
        let key = subjects::parse_tools(subject)?;
        if body.len() > EVENT_BYTES_MAX {
            return Err(Fault::bad(
                "",
                format!("the event is {} bytes, at most {EVENT_BYTES_MAX} are allowed", body.len()),
            )
            .hint("shorten the description or the parameters"));
        }
        let Value::Object(mut fields) = parse(body)? else {
            return Err(Fault::bad("", "the event is not a JSON object").hint(FORM));
        };
        match fields.get("event") {
            Some(Value::String(event)) if event == "removed" => return Ok((key, Self::Removed)),
            Some(Value::String(event)) if event == "registered" => {}
            Some(other) => return Err(Fault::bad("/event", format!("unknown event {other}")).hint(FORM)),
            None => return Err(Fault::bad("/event", "missing field `event`").hint(FORM)),
        }
        let Some(Value::Object(mut tool)) = fields.remove("tool") else {
            return Err(Fault::bad("/tool", "a registered event needs a tool, as an object").hint(FORM));
        };
        if tool.get("parameters").is_some_and(|parameters| !parameters.is_object()) {
            return Err(Fault::bad("/tool/parameters", "parameters are not an object").hint(PARAMETERS));
        }
        tool.entry("domain").or_insert_with(|| key.domain.as_str().into());
        let tool: Tool = from_value(Value::Object(tool), "/tool")?;
        tool.validate("/tool")?;
        check_agreement(&key, &tool)?;
        Ok((key, Self::Registered { tool: Box::new(tool) }))
    }
}

const FORM: &str =
    r#"send {"event":"registered","tool":{"tool_name":…,"description":…}} or {"event":"removed"}"#;
const PARAMETERS: &str =
    r#"send the JSON Schema of the arguments, such as {"type":"object","properties":{…}}, or leave it out"#;

fn check_agreement(key: &ToolKey, tool: &Tool) -> Result<(), Fault> {
    let told = ToolKey {
        tenant: key.tenant.clone(),
        domain: tool.domain.clone(),
        tool_name: tool.tool_name.clone(),
    };
    let hint = || format!("publish this tool on {}", subjects::tools(&told));
    if told.domain != key.domain {
        let message = format!("the body says domain {}, the subject {}", told.domain, key.domain);
        return Err(Fault::bad("/tool/domain", message).hint(hint()));
    }
    if told.tool_name != key.tool_name {
        let message = format!(
            "the body says tool_name {:?}, the subject {:?}",
            told.tool_name.as_str(),
            key.tool_name.as_str()
        );
        return Err(Fault::bad("/tool/tool_name", message).hint(hint()));
    }
    Ok(())
}
