//! Announcement of `up` that it is ready: for people, for programs and for the other commands.

use std::time::Duration;

use serde_json::json;
use toolweaver_contracts::Fault;
use toolweaver_messaging::NatsConfig;
use toolweaver_service_runtime::Runtime;

use crate::{
    data_dir::{DataDir, NatsUrlFile},
    options::Common,
    terminal::line,
};

/// Announces the addresses; the other commands find them until the returned value is dropped.
pub(super) fn announce(
    nats_config: &NatsConfig,
    data_dir: &DataDir,
    common: &Common,
    took: Duration,
    runtime: &Runtime,
) -> Result<NatsUrlFile, Fault> {
    let url = nats_config.url_redacted();
    let file = data_dir.publish_nats_url(&url)?;
    let http = runtime.http_address().map(|address| format!("http://{address}")).unwrap_or_default();
    let folder = data_dir.path().display();
    if common.json {
        let ready = json!({
            "nats_url": url,
            "data_dir": folder.to_string(),
            "http": http,
            "seconds": took.as_secs_f64(),
        });
        line(&ready.to_string())?;
        return Ok(file);
    }
    let option = common.data_dir.as_ref().map(|_| format!(" --data-dir {folder}")).unwrap_or_default();
    line(&format!(
        "ToolWeaver is ready after {:.1} s\n\
         \n  NATS      {url}\
         \n  data      {folder}\
         \n  health    {http}/readyz, metrics at {http}/metrics\
         \n  register  toolweaver register{option} tools.jsonl --wait\
         \n  import    toolweaver import openapi{option} openapi.json --domain shop --wait\
         \n  search    toolweaver search{option} open a pull request\
         \n  agents    nats --server {url} request search.v1.default '{{\"query\": \"open a pull request\"}}'\
         \n\nCtrl-C ends it; the data stays.",
        took.as_secs_f64()
    ))?;
    Ok(file)
}
