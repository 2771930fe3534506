//! A few realistic tools, for tests that need some but not thousands.

use serde_json::json;
use toolweaver_contracts::{Tenant, Tool, ToolKey};

/// Returns eight tools of four domains, of all types; one is only for the role `finance`.
///
/// They are decoded from JSON, as a publisher would write them.
pub fn tools() -> Vec<Tool> {
    let documents = json!([
        {
            "tool_name": "create_pull_request", "tool_type": "mcp_worker", "domain": "github",
            "description": "Open a pull request to propose merging the changes of one branch into another.",
            "parameters": {
                "type": "object",
                "properties": {
                    "repository": { "type": "string", "description": "owner/name" },
                    "head": { "type": "string", "description": "the branch with the changes" },
                    "base": { "type": "string", "description": "the branch to merge into" },
                    "title": { "type": "string" }
                },
                "required": ["repository", "head", "base", "title"]
            },
            "version": "1.4.0", "tags": ["git", "review"],
            "examples": ["propose my branch for review"], "publisher": "octokit"
        },
        {
            "tool_name": "list_issues", "tool_type": "mcp_worker", "domain": "github",
            "description": "List the issues of a repository, filtered by state, label and assignee.",
            "parameters": {
                "type": "object",
                "properties": {
                    "repository": { "type": "string" },
                    "state": { "type": "string", "enum": ["open", "closed", "all"] }
                },
                "required": ["repository"]
            },
            "tags": ["git", "tracker"]
        },
        {
            "tool_name": "get_forecast", "tool_type": "function", "domain": "weather",
            "description": "Weather forecast for a place: temperature, rain and wind for the next ten days.",
            "parameters": {
                "type": "object",
                "properties": { "place": { "type": "string" }, "days": { "type": "integer", "maximum": 10 } },
                "required": ["place"]
            },
            "tags": ["read_only"]
        },
        {
            "tool_name": "send_message", "tool_type": "function", "domain": "chat",
            "description": "Send a text message to a channel or to one person.",
            "parameters": {
                "type": "object",
                "properties": { "to": { "type": "string" }, "text": { "type": "string" } },
                "required": ["to", "text"]
            }
        },
        {
            "tool_name": "search messages/v2", "tool_type": "function", "domain": "chat",
            "description": "Find earlier messages by words, author or date."
        },
        {
            "tool_name": "チャンネル.作成", "tool_type": "function", "domain": "chat",
            "description": "新しいチャンネルを作成します。"
        },
        {
            "tool_name": "run_python", "tool_type": "code_exec", "domain": "general",
            "description": "Run a piece of Python in a sandbox and return what it prints."
        },
        {
            "tool_name": "transfer_funds", "tool_type": "function", "domain": "general",
            "description": "Move money from one account to another.",
            "parameters": {
                "type": "object",
                "properties": { "from": { "type": "string" }, "to": { "type": "string" },
                                "amount_cents": { "type": "integer", "minimum": 1 } },
                "required": ["from", "to", "amount_cents"]
            },
            "allowed_roles": ["finance"]
        }
    ]);
    serde_json::from_value(documents).expect("the sample tools are valid")
}

/// Returns the first of [`tools`]: `github.create_pull_request`.
pub fn tool() -> Tool {
    tools().swap_remove(0)
}

/// Returns the identity of a tool in this tenant.
pub fn key(tenant: &Tenant, tool: &Tool) -> ToolKey {
    ToolKey { tenant: tenant.clone(), domain: tool.domain.clone(), tool_name: tool.tool_name.clone() }
}
