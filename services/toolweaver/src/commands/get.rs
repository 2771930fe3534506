//! `get`: one tool, with all it was registered with.

use clap::Args;
use toolweaver_contracts::{Fault, GetReply, GetRequest, ToolId, subjects};

use crate::{
    client::{ANSWER_TIMEOUT, Client},
    data_dir::DataDir,
    options::{Common, Connection},
    terminal::{Column, Exit, Output, arguments, table},
};

#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// The tool, written `domain.tool_name`
    tool_id: ToolId,

    /// Roles of the caller
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Runs `get TOOL_ID`.
pub(crate) async fn get(args: GetArgs, common: &Common) -> Result<Exit, Fault> {
    let client = Client::connect(&args.connection, &DataDir::new(common.data_dir.as_deref())?).await?;
    let request = GetRequest { tool_id: args.tool_id, roles: args.roles };
    let reply: GetReply = client.ask(&subjects::get(&client.tenant), &request, ANSWER_TIMEOUT).await?;
    Output { json: common.json }.result(&reply, || shown(&reply))?;
    Ok(Exit::Done)
}

fn shown(reply: &GetReply) -> String {
    let tool = &reply.tool;
    let mut rows = table([Column::whole(""), Column::text(reply.tool_id.to_string())]);
    let mut row = |name: &str, value: &str| {
        if !value.is_empty() {
            rows.add_row([name, value]);
        }
    };
    row("type", tool.tool_type.as_str());
    row("description", &tool.description);
    row("version", tool.version.as_deref().unwrap_or_default());
    row("last updated", tool.last_updated.as_deref().unwrap_or_default());
    row("publisher", tool.publisher.as_deref().unwrap_or_default());
    row("tags", &tool.tags.join(", "));
    row("for roles", &tool.allowed_roles.join(", "));
    row("examples", &tool.examples.join("\n"));
    row("arguments", &arguments(tool));
    row("revision", &reply.revision.to_string());
    rows.to_string()
}
