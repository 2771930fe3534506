//! Values that the chart must refuse, and its messages about them.

use anyhow::{Context, Result, bail};

use super::CHART;
use crate::downloads;
use crate::process::{command, output};

/// Values to set, and a piece of the message expected.
const REFUSED: [(&[&str], &str); 22] = [
    (&["nats.enabled=false"], "nats.url is required with nats.enabled=false"),
    (&["qdrant.enabled=false"], "qdrant.url is required with qdrant.enabled=false"),
    (&["redis.enabled=false"], "redis.url or redis.urlSecret is required with redis.enabled=false"),
    (&["nats.url=nats://nats:4222"], "set nats.enabled=false"),
    (&["qdrant.url=http://qdrant:6334"], "set qdrant.enabled=false"),
    (&["redis.urlSecret=redis"], "set redis.enabled=false"),
    (
        &["nats.auth.tokenSecret=a", "nats.auth.userSecret=b"],
        "only one of credentialsSecret, tokenSecret and userSecret",
    ),
    (&["nats.replicas=1", "nats.streamReplicas=3"], "nats.streamReplicas is more than nats.replicas"),
    (&["model.name=another"], "only all-MiniLM-L6-v2 can be downloaded"),
    (&["model.existingClaim=models", "model.inImage=true"], "only one of existingClaim, image and inImage"),
    (&["embeddingWorker.keda.enabled=true"], "embeddingWorker.keda.serverAddress is required with KEDA"),
    (&["queryWorker.autoscaling.minReplicas=11"], "autoscaling.minReplicas is more than maxReplicas"),
    (&["queryWorker.rollingUpdate.maxSurge=0"], "nothing is ever replaced"),
    (
        &["shards[0].name=a", "shards[0].domains={x,y}", "shards[1].name=b", "shards[1].domains={y}"],
        "shards: a and b both own the domain y",
    ),
    (
        &["shards[0].name=a", "shards[0].domains={x}", "shards[1].name=a", "shards[1].domains={y}"],
        "two are named a",
    ),
    // The schema's refusals name the place of the value.
    (&["shards[0].name=Billing", "shards[0].domains={x}"], "/shards/0/name"),
    (&["shards[0].name=a"], "domains"),
    (&["queryWorker.config.QUERY_TIMEOUT=1"], "QUERY_TIMEOUT"),
    (&["queryWorker.config.NATS_URL=nats://other:4222"], "NATS_URL"),
    (&["embeddingWorker.config.EMBEDDING_BATCH_MAX=many"], "EMBEDDING_BATCH_MAX"),
    (&["quaryWorker.replicas=3"], "quaryWorker"),
    (&["embeddingWorker.resources.limit.memory=2Gi"], "limit"),
];

/// Fails where the chart takes one of them, or refuses it for another reason.
pub(super) fn check() -> Result<()> {
    let helm = downloads::helm()?;
    for (values, expected) in REFUSED {
        let mut template = command(&helm);
        template.args(["template", "toolweaver", CHART]);
        for value in values {
            template.args(["--set", value]);
        }
        let said = match output(&mut template) {
            Ok(_) => bail!("{CHART} takes {values:?}"),
            Err(error) => error.to_string(),
        };
        // The command itself is a part of the error.
        let said = said.split_once('\n').context("helm failed without a word")?.1;
        if !said.contains(expected) {
            bail!("{CHART} refuses {values:?} without saying {expected:?}, but:\n{said}");
        }
    }
    println!("{CHART}: {} mistakes in values are refused", REFUSED.len());
    Ok(())
}
