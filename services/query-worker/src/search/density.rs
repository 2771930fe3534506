//! Neighbour density of catalogs: the baseline of the relevance decision, measured in the background.
//!
//! A sample of tools asks for its own neighbours; see [`relevance::density_of`]. It needs no query, only the
//! catalog, and only tools that everyone may see.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use tokio_util::sync::CancellationToken;
use toolweaver_contracts::{Predicate, Tenant};
use toolweaver_ranking::{
    parameters::{DENSITY_DEFAULT, DENSITY_SAMPLE},
    relevance,
};
use toolweaver_resilience::error_chain;
use tracing::{debug, warn};
use uuid::Uuid;

use super::pipeline::Pipeline;

/// Tools that are asked at a time.
const ASKED_AT_ONCE: usize = 16;
/// Interval at which catalogs are looked at for change.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Share by which a catalog must have grown or shrunk to be measured again, in percent.
const CHANGE_PERCENT_MIN: usize = 20;

/// Densities of all tenants' catalogs. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Densities(Arc<RwLock<HashMap<Tenant, Measured>>>);

#[derive(Debug, Clone, Copy)]
struct Measured {
    density: f32,
    /// Number of tools at that time.
    tools: usize,
}

impl Densities {
    /// Returns the density of a tenant's catalog.
    pub(crate) fn of(&self, tenant: &Tenant) -> f32 {
        let densities = self.0.read().unwrap_or_else(PoisonError::into_inner);
        densities.get(tenant).map_or(DENSITY_DEFAULT, |measured| measured.density)
    }

    fn set(&self, tenant: Tenant, measured: Measured) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(tenant, measured);
    }

    fn is_stale(&self, tenant: &Tenant, tools: usize) -> bool {
        let densities = self.0.read().unwrap_or_else(PoisonError::into_inner);
        densities
            .get(tenant)
            .is_none_or(|measured| 100 * tools.abs_diff(measured.tools) > CHANGE_PERCENT_MIN * measured.tools)
    }
}

/// Measures catalogs that have changed, now and then, until `stop`.
pub(crate) async fn run(pipeline: Arc<Pipeline>, stop: CancellationToken) -> anyhow::Result<()> {
    while !stop.is_cancelled() {
        // Not while a catalog is being read: a start needs the processor, and half of one tells little.
        if pipeline.projection().applied().pending == 0 {
            measure_stale(&pipeline).await;
        }
        stop.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await;
    }
    Ok(())
}

/// Measures every tenant whose catalog has changed much since it was measured.
pub(crate) async fn measure_stale(pipeline: &Pipeline) {
    let tenants = pipeline.projection().samples().tenants();
    for tenant in tenants {
        let (tools, vectors) = sample(pipeline, &tenant);
        if !pipeline.densities().is_stale(&tenant, tools) {
            continue;
        }
        if let Some(density) = measure(pipeline, &tenant, &vectors).await {
            debug!(%tenant, tools, density, "measured the neighbour density of a catalog");
            pipeline.densities().set(tenant, Measured { density, tools });
        }
    }
}

/// Returns the number of tools, and some of them, from every domain its share.
fn sample(pipeline: &Pipeline, tenant: &Tenant) -> (usize, Vec<(Uuid, Vec<f32>)>) {
    let samples = pipeline.projection().samples();
    let tools: usize = samples.of(tenant).map(|(_, domain)| domain.tools()).sum();
    let mut chosen = Vec::new();
    for (_, domain) in samples.of(tenant) {
        let share = (DENSITY_SAMPLE * domain.tools()).div_ceil(tools.max(1));
        chosen.extend(domain.vectors().take(share).map(|(id, vector)| (id, vector.to_vec())));
    }
    (tools, chosen)
}

async fn measure(pipeline: &Pipeline, tenant: &Tenant, tools: &[(Uuid, Vec<f32>)]) -> Option<f32> {
    let everyone = Predicate::tenant(tenant.clone());
    let mut nearest = Vec::with_capacity(tools.len());
    for some in tools.chunks(ASKED_AT_ONCE) {
        let vectors: Vec<Vec<f32>> = some.iter().map(|(_, vector)| vector.clone()).collect();
        let found = pipeline
            .arms()
            .scores(&vectors, &everyone, 2, &[])
            .await
            .inspect_err(|error| warn!(error = %error_chain(error), "cannot measure the neighbour density"))
            .ok()?;
        for (place, (asked, _)) in some.iter().enumerate() {
            let others = found.iter().filter(|(id, _)| id != asked).map(|(_, row)| row[place]);
            nearest.push(others.fold(-1.0, f32::max));
        }
    }
    relevance::density_of(nearest)
}
