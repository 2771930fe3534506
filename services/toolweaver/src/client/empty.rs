//! Empty catalogs: a search in one finds nothing, however it is worded.

use toolweaver_contracts::{DomainsReply, DomainsRequest, Tenant, subjects};

use super::{ANSWER_TIMEOUT, Client};

/// Returns whether the catalog holds no tool that these roles may see.
pub(crate) async fn is_catalog_empty(client: &Client, roles: Vec<String>) -> bool {
    let request = DomainsRequest { roles };
    let reply: Result<DomainsReply, _> =
        client.ask(&subjects::domains(&client.tenant), &request, ANSWER_TIMEOUT).await;
    // Only a remark depends on it: whoever cannot tell says nothing.
    reply.is_ok_and(|reply| reply.tools == 0)
}

/// Returns what to do about an empty catalog.
pub(crate) fn empty_catalog(tenant: &Tenant, roles: &[String]) -> String {
    let for_whom = if roles.is_empty() { "" } else { " for these roles" };
    format!(
        "the catalog of tenant {tenant} is empty{for_whom}: register tools with `toolweaver register FILE`"
    )
}
