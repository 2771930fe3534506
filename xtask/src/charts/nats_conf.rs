//! The NATS configuration that the chart renders, read by a real nats-server.

use std::fs;

use anyhow::Result;
use serde_json::Value;
use toolweaver_deployment_checks::chart::text;

use crate::downloads;
use crate::process::{Scratch, command, output};

/// Fails where a nats.conf among the documents is not one that nats-server takes.
pub(super) fn check(scratch: &Scratch, documents: &[Value]) -> Result<()> {
    for conf in
        documents.iter().map(|document| text(&document["data"]["nats.conf"])).filter(|conf| !conf.is_empty())
    {
        let file = scratch.path().join("nats.conf");
        fs::write(&file, without_certificate(conf))?;
        let mut nats_server = command(downloads::runtime()?.nats_server);
        nats_server.env("POD_NAME", "toolweaver-nats-0");
        for name in ["NATS_TOKEN", "NATS_USER", "NATS_PASSWORD"] {
            nats_server.env(name, "secret");
        }
        output(nats_server.arg("-t").arg("-c").arg(&file))?;
    }
    Ok(())
}

/// Removes the certificate, which the server would read and which lies in a Secret.
fn without_certificate(conf: &str) -> String {
    conf.lines()
        .filter(|line| !line.contains("cert_file:") && !line.contains("key_file:"))
        .collect::<Vec<_>>()
        .join("\n")
}
