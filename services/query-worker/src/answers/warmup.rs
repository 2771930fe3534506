//! Cache warmer: a worker is ready when its dependencies have worked once and the usual requests are answered
//! already, and after a change of the catalog those answers are looked at again before somebody asks.
//!
//! Usual are the requests that an operator names and those that were asked most, by whichever worker. Counts
//! are written down every few seconds, so that they survive a restart where the caches do.

use std::{collections::HashMap, path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;
use tokio::{
    sync::oneshot,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;
use toolweaver_catalog_cache::PopularityKind;
use toolweaver_contracts::{SearchRequest, Tenant};
use toolweaver_resilience::error_chain;
use toolweaver_service_runtime::Gate;
use toolweaver_vector_store::VectorStore as _;
use tracing::{debug, info, warn};

use crate::{answers::cache::AnswerCache, search::pipeline::Search};

/// Timeout of the warm-up: a dependency that is down must not keep a worker from its work.
const WARM_WITHIN: Duration = Duration::from_secs(10);
/// Popular requests of one tenant that are answered before they are asked.
const REQUESTS_MAX: usize = 64;
/// Tenants whose requests are answered ahead.
const TENANTS_MAX: usize = 64;
/// Timeout of one round: answers to real requests go first.
const ROUND_MAX: Duration = Duration::from_millis(500);
/// Pause after a change before its round, so that a burst costs one.
const SETTLE: Duration = Duration::from_millis(100);
/// Pause after a round as a multiple of its duration: a duty cycle of one fifth of one processor is enough,
/// under constant change, for what nobody has asked for yet.
const DUTY_CYCLE: u32 = 4;
/// Interval at which counts are written down.
const FLUSH_EVERY: Duration = Duration::from_secs(5);
/// Query of the first search.
const FIRST_QUERY: &str = "warm up";

/// Requests that an operator wants answered fast from the start.
pub(crate) type Configured = Vec<(Tenant, SearchRequest)>;

/// Keeps the caches of one worker warm.
pub(crate) struct CacheWarmer {
    answers: Arc<AnswerCache>,
    configured: Configured,
    /// Version of each tenant whose requests were answered ahead.
    warmed_versions: HashMap<Tenant, u64>,
}

/// Reads requests, one a line: a query of the default tenant, or `TENANT<tab>QUERY`. Empty lines and `#` do
/// not count.
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

impl CacheWarmer {
    /// Makes a warmer that answers the configured requests first.
    pub(crate) fn new(answers: Arc<AnswerCache>, configured: Configured) -> Self {
        Self { answers, configured, warmed_versions: HashMap::new() }
    }

    /// Warms up once INDEXED was read, opens the gate and tells, and keeps warm until `stop`.
    pub(crate) async fn run(
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
        let mut applied = self.answers.pipeline().projection().changes();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = flush.tick() => self.answers.cache().popularity.flush().await,
                changed = applied.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    sleep(SETTLE).await;
                    applied.mark_unchanged();
                    let begun = Instant::now();
                    self.warm_round(begun + ROUND_MAX).await;
                    stop.run_until_cancelled(sleep(DUTY_CYCLE * begun.elapsed())).await;
                }
            }
        }
        self.answers.cache().popularity.flush().await;
        Ok(())
    }

    /// Has each dependency work once, then answers the usual requests.
    async fn warm_up(&mut self) {
        let started = Instant::now();
        if let Some(qdrant) = self.answers.pipeline().arms().qdrant()
            && let Err(error) = qdrant.health().await
        {
            warn!(error = %error_chain(&error), "the vector database does not answer yet");
        }
        // Of no tenant: it runs the model and every stage, and finds nothing.
        let nobody = "toolweaver-warm-up".parse().expect("a tenant's name");
        if let Err(error) = self.answers.answer(&self.search(nobody, SearchRequest::new(FIRST_QUERY))).await {
            warn!(%error, "the first search failed");
        }
        let answered = self.warm_round(started + WARM_WITHIN).await;
        info!(answered, took_ms = started.elapsed().as_millis(), "warm");
    }

    /// Answers the usual requests of tenants that changed since the last round; returns their number.
    async fn warm_round(&mut self, until: Instant) -> usize {
        let mut answered = 0;
        for (tenant, version) in self.tenants() {
            if self.warmed_versions.get(&tenant) == Some(&version) {
                continue;
            }
            let configured =
                self.configured.iter().filter(|(of, _)| *of == tenant).map(|(_, request)| request.clone());
            let requests: Vec<SearchRequest> = configured.chain(self.popular(&tenant).await).collect();
            for request in requests {
                match timeout_at(until, self.answers.answer(&self.search(tenant.clone(), request))).await {
                    Ok(Ok(_)) => answered += 1,
                    Ok(Err(error)) => debug!(%tenant, %error, "cannot answer a usual request"),
                    // The rest is answered when it is asked.
                    Err(_) => return answered,
                }
            }
            self.warmed_versions.insert(tenant, version);
        }
        answered
    }

    /// Returns the search of a request that nobody has sent: its time begins now.
    fn search(&self, tenant: Tenant, request: SearchRequest) -> Search {
        let deadline = self.answers.pipeline().timeouts().deadline(Instant::now());
        Search::new(tenant, request, deadline)
    }

    /// Returns the tenants that changed last, with their versions.
    fn tenants(&self) -> Vec<(Tenant, u64)> {
        self.answers.pipeline().projection().catalog().versions(TENANTS_MAX)
    }

    async fn popular(&self, tenant: &Tenant) -> Vec<SearchRequest> {
        let popular =
            self.answers.cache().popularity.top(PopularityKind::Requests, tenant, REQUESTS_MAX).await;
        let popular =
            popular.inspect_err(|error| debug!(%tenant, %error, "cannot read the popular requests"));
        // Another build may have written what this one does not understand.
        let requests = popular.into_iter().flatten().filter_map(|one| serde_json::from_str(&one.member).ok());
        requests.filter(|request: &SearchRequest| request.validate().is_ok()).collect()
    }
}
