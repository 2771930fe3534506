//! `domains`: the domains of a catalog and their sizes.

use clap::Args;
use toolweaver_contracts::{DomainsReply, DomainsRequest, Fault, subjects};

use crate::{
    client::{ANSWER_TIMEOUT, Client, empty_catalog},
    data_dir::DataDir,
    options::{Common, Connection},
    terminal::{Exit, Output, table},
};

#[derive(Debug, Args)]
pub(crate) struct DomainsArgs {
    /// Roles of the caller
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Runs `domains`.
pub(crate) async fn domains(args: DomainsArgs, common: &Common) -> Result<Exit, Fault> {
    let client = Client::connect(&args.connection, &DataDir::new(common.data_dir.as_deref())?).await?;
    let request = DomainsRequest { roles: args.roles };
    let reply: DomainsReply =
        client.ask(&subjects::domains(&client.tenant), &request, ANSWER_TIMEOUT).await?;
    Output { json: common.json }.result(&reply, || {
        if reply.tools == 0 {
            return empty_catalog(&client.tenant, &request.roles);
        }
        let mut rows = table(["domain", "tools"]);
        for count in &reply.domains {
            rows.add_row([count.domain.to_string(), count.tools.to_string()]);
        }
        format!("{rows}\n\n{} tools, catalog version {}", reply.tools, reply.catalog_version)
    })?;
    Ok(Exit::Done)
}
