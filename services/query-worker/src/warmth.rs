//! What keeps a worker warm: it is ready when its parts have worked once and the usual requests are answered already, and
//! after a change of the catalogue those answers are looked at again before somebody asks.
//!
//! Usual are the requests that an operator names and those that were asked most, by whichever worker. What is noted here
//! is written down every few seconds, so that it survives a restart where the caches do.

use std::{collections::HashMap, path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;
use tokio::{
    sync::oneshot,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;
use toolweaver_catalog_cache::PopularityKind;
use toolweaver_contracts::{SearchRequest, Tenant, ToolId, ToolKey};
use toolweaver_service_runtime::Gate;
use toolweaver_vector_store::VectorStore as _;
use tracing::{debug, info, warn};

use crate::searcher::Searcher;

/// How long a start waits for warmth: a part that is down must not keep a worker from its work.
const WARM_WITHIN: Duration = Duration::from_secs(10);
/// Popular requests of one tenant that are answered before they are asked.
const REQUESTS_MAX: usize = 64;
/// Popular tools of one tenant that stay in memory.
const TOOLS_MAX: usize = 100;
/// Tenants whose requests are answered ahead.
const TENANTS_MAX: usize = 64;
/// How long one round may take: answers to real requests go first.
const ROUND_MAX: Duration = Duration::from_millis(500);
/// Pause after a change before its round, so that a burst costs one.
const SETTLE: Duration = Duration::from_millis(100);
/// Pause after a round, in its own lengths: under constant change a fifth of one processor is enough for what nobody
/// has asked for yet.
const REST: u32 = 4;
/// How often counts are written down, and the popular tools are looked up.
const FLUSH_EVERY: Duration = Duration::from_secs(5);
/// Longest request that is noted, in bytes of JSON.
const NOTED_BYTES_MAX: usize = 4_096;
/// What the model is run on once.
const FIRST_WORDS: &str = "warm up";

/// Requests that an operator wants answered fast from the start.
pub(crate) type Configured = Vec<(Tenant, SearchRequest)>;

/// Keeps one worker warm.
pub(crate) struct Warmth {
    searcher: Arc<Searcher>,
    configured: Configured,
    /// Version of each tenant whose requests were answered ahead.
    primed: HashMap<Tenant, u64>,
}

/// Reads requests, one a line: a query of the default tenant, or `TENANT<tab>QUERY`. Empty lines and `#` do not count.
pub(crate) fn read(file: &Path) -> anyhow::Result<Configured> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let lines = (1..).zip(text.lines().map(str::trim));
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(number, line)| {
            let (tenant, query) = match line.split_once('\t') {
                None => (Tenant::default(), line),
                Some((tenant, query)) => {
                    let at = || format!("{}, line {number}: {tenant:?} is no tenant", file.display());
                    (tenant.parse().with_context(at)?, query)
                }
            };
            Ok((tenant, SearchRequest::new(query)))
        })
        .collect()
}

impl Warmth {
    pub(crate) fn new(searcher: Arc<Searcher>, configured: Configured) -> Self {
        Self { searcher, configured, primed: HashMap::new() }
    }

    /// Warms up once INDEXED was read, opens the gate and tells, and keeps warm until `stop`.
    pub(crate) async fn keep(
        mut self,
        caught_up: oneshot::Receiver<()>,
        (gate, tell): (Gate, oneshot::Sender<()>),
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        if !matches!(stop.run_until_cancelled(caught_up).await, Some(Ok(()))) {
            return Ok(());
        }
        if let Some(Err(_)) = stop.run_until_cancelled(Box::pin(timeout(WARM_WITHIN, self.warm_up()))).await {
            warn!("not warm after {WARM_WITHIN:?}: serving all the same");
        }
        gate.ready();
        // Nobody listens any more where the worker is stopping.
        tell.send(()).ok();
        let mut flush = interval(FLUSH_EVERY);
        flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut applied = self.searcher.projection.changes();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = flush.tick() => self.flush().await,
                changed = applied.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    sleep(SETTLE).await;
                    applied.mark_unchanged();
                    let begun = Instant::now();
                    self.prime(begun + ROUND_MAX).await;
                    stop.run_until_cancelled(sleep(REST * begun.elapsed())).await;
                }
            }
        }
        self.flush().await;
        Ok(())
    }

    /// Has each part work once, then answers the usual requests.
    async fn warm_up(&mut self) {
        let started = Instant::now();
        if let Some(vectors) = &self.searcher.vectors
            && let Err(error) = vectors.health().await
        {
            warn!(%error, "the vector database does not answer yet");
        }
        // Of no tenant: it runs the model and every stage, and finds nothing.
        let nobody = "toolweaver-warm-up".parse().expect("a tenant's name");
        if let Err(error) = self.searcher.answer(nobody, SearchRequest::new(FIRST_WORDS)).await {
            warn!(%error, "the first search failed");
        }
        let primed = self.prime(started + WARM_WITHIN).await;
        info!(primed, took_ms = started.elapsed().as_millis(), "warm");
    }

    /// Answers the usual requests of tenants that changed since the last time; says how many.
    async fn prime(&mut self, until: Instant) -> usize {
        let mut primed = 0;
        for (tenant, version) in self.tenants() {
            if self.primed.get(&tenant) == Some(&version) {
                continue;
            }
            let configured =
                self.configured.iter().filter(|(of, _)| *of == tenant).map(|(_, request)| request.clone());
            let requests: Vec<SearchRequest> = configured.chain(self.popular(&tenant).await).collect();
            for request in requests {
                match timeout_at(until, self.searcher.answer(tenant.clone(), request)).await {
                    Ok(Ok(_)) => primed += 1,
                    Ok(Err(error)) => debug!(%tenant, %error, "cannot answer a usual request"),
                    // The rest is answered when it is asked.
                    Err(_) => return primed,
                }
            }
            self.primed.insert(tenant, version);
        }
        primed
    }

    /// The tenants that changed last, with their versions.
    fn tenants(&self) -> Vec<(Tenant, u64)> {
        self.searcher.projection.catalog().versions(TENANTS_MAX)
    }

    async fn popular(&self, tenant: &Tenant) -> Vec<SearchRequest> {
        let popular =
            self.searcher.cache.popularity.top(PopularityKind::Requests, tenant, REQUESTS_MAX).await;
        let popular = popular.inspect_err(|error| debug!(%tenant, %error, "what is popular is not known"));
        // Another build may have noted what this one does not understand.
        let requests = popular.into_iter().flatten().filter_map(|one| serde_json::from_str(&one.member).ok());
        requests.filter(|request: &SearchRequest| request.validate().is_ok()).collect()
    }

    /// Writes down what was asked for, and keeps the most popular tools in memory.
    async fn flush(&self) {
        let cache = &self.searcher.cache;
        cache.popularity.flush().await;
        for (tenant, _) in self.tenants() {
            let Ok(popular) = cache.popularity.top(PopularityKind::Tools, &tenant, TOOLS_MAX).await else {
                return;
            };
            let keys = popular.iter().filter_map(|one| one.member.parse::<ToolId>().ok()).map(|id| ToolKey {
                tenant: tenant.clone(),
                domain: id.domain,
                tool_name: id.tool_name,
            });
            cache.tool_metadata.pin(&tenant, &keys.collect::<Vec<_>>());
        }
    }
}

impl Searcher {
    /// Takes note of a request, so that it is known when it is usual. Not one that looks for explanations.
    pub(crate) fn note(&self, tenant: &Tenant, request: &SearchRequest) {
        if request.explain {
            return;
        }
        let plain = SearchRequest { min_version: None, min_revision: None, wait_ms: None, ..request.clone() };
        let json = serde_json::to_string(&plain).expect("a request has string keys only");
        if json.len() <= NOTED_BYTES_MAX {
            self.cache.popularity.note(PopularityKind::Requests, tenant, &json, 1);
        }
    }
}
