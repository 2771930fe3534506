//! How dense a catalogue is: the yardstick of the verdict.
//!
//! The same cosine means much in a catalogue of unlike tools and little in one of a thousand siblings. So a sample of
//! tools asks for its own neighbours: `density` is the 5 % quantile of the cosine between a tool and the nearest other
//! one, and at most [`DENSITY_MAX`]. It needs no query, only the catalogue, and only tools that everyone may see.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use tokio_util::sync::CancellationToken;
use toolweaver_contracts::{Predicate, Tenant};
use tracing::{debug, warn};
use uuid::Uuid;

use crate::searcher::Searcher;

/// The largest density: past it, more siblings tell nothing new.
const DENSITY_MAX: f32 = 0.60;
/// What holds until a tenant was measured.
const DENSITY_DEFAULT: f32 = 0.45;
const QUANTILE_PERCENT: usize = 5;
/// Tools of a tenant that are asked.
const ASKED_MAX: usize = 256;
/// Tools that are asked at a time.
const ASKED_AT_ONCE: usize = 16;
/// How often is looked whether a catalogue has changed much.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A catalogue is measured again when it has grown or shrunk by this share.
const CHANGE_MIN: f32 = 0.2;

/// The densities of all tenants. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Densities(Arc<RwLock<HashMap<Tenant, Measured>>>);

#[derive(Debug, Clone, Copy)]
struct Measured {
    density: f32,
    /// Tools that there were.
    tools: usize,
}

impl Densities {
    /// The density of a tenant's catalogue.
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
            .is_none_or(|measured| tools.abs_diff(measured.tools) as f32 > CHANGE_MIN * measured.tools as f32)
    }
}

/// Measures what has changed, now and then, until `stop`.
pub(crate) async fn keep(searcher: Arc<Searcher>, stop: CancellationToken) -> anyhow::Result<()> {
    while !stop.is_cancelled() {
        // Not while a catalogue is being read: a start needs the processor, and half of one tells little.
        if searcher.projection.applied().pending == 0 {
            measure_stale(&searcher).await;
        }
        stop.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await;
    }
    Ok(())
}

/// Measures every tenant whose catalogue has changed much since it was measured.
pub(crate) async fn measure_stale(searcher: &Searcher) {
    let tenants = searcher.projection.samples().tenants();
    for tenant in tenants {
        let (tools, vectors) = sample(searcher, &tenant);
        if !searcher.densities.is_stale(&tenant, tools) {
            continue;
        }
        if let Some(density) = measure(searcher, &tenant, &vectors).await {
            debug!(%tenant, tools, density, "measured how dense the catalogue is");
            searcher.densities.set(tenant, Measured { density, tools });
        }
    }
}

/// How many tools there are, and some of them, from every domain its share.
fn sample(searcher: &Searcher, tenant: &Tenant) -> (usize, Vec<(Uuid, Vec<f32>)>) {
    let samples = searcher.projection.samples();
    let tools: usize = samples.of(tenant).map(|(_, domain)| domain.tools()).sum();
    let mut chosen = Vec::new();
    for (_, domain) in samples.of(tenant) {
        let share = (ASKED_MAX * domain.tools()).div_ceil(tools.max(1));
        chosen.extend(domain.vectors().take(share).map(|(id, vector)| (id, vector.to_vec())));
    }
    (tools, chosen)
}

async fn measure(searcher: &Searcher, tenant: &Tenant, tools: &[(Uuid, Vec<f32>)]) -> Option<f32> {
    let everyone = Predicate::tenant(tenant.clone());
    let mut nearest = Vec::with_capacity(tools.len());
    for some in tools.chunks(ASKED_AT_ONCE) {
        let vectors: Vec<Vec<f32>> = some.iter().map(|(_, vector)| vector.clone()).collect();
        let found = searcher
            .nearest(&vectors, &everyone, 2)
            .await
            .inspect_err(|error| warn!(%error, "cannot measure how dense the catalogue is"))
            .ok()?;
        for (place, (asked, _)) in some.iter().enumerate() {
            let others = found.iter().filter(|(id, _)| id != asked).map(|(_, row)| row[place]);
            nearest.push(others.fold(-1.0, f32::max));
        }
    }
    nearest.sort_unstable_by(f32::total_cmp);
    let at = nearest.len() * QUANTILE_PERCENT / 100;
    nearest.get(at).map(|quantile| quantile.clamp(0.0, DENSITY_MAX))
}
