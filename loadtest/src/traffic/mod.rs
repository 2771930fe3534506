//! Traffic as agents make it, on a catalogue that changes, with every reply checked.

mod changes;
mod queries;
mod report;
mod shown;
mod tally;
mod truth;
mod zipf;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::ensure;
use rand::{Rng, SeedableRng as _, rngs::StdRng};
use tokio::time::sleep;
use toolweaver_contracts::{ErrorCode, SearchRequest, Tool, ToolId};

pub(crate) use self::report::Report;
use self::{
    changes::Changes,
    queries::Query,
    report::Layers,
    shown::Shown,
    tally::{Answer, Tally},
    truth::{Truth, Verdict},
    zipf::Zipf,
};
use crate::{
    arguments::{MixArguments, TrafficArguments},
    catalogue,
    client::{self, Client},
    load, metrics,
    processes::{Setup, System},
    tools,
};

/// Share of requests that get a tool by its id.
const GETS: f64 = 0.1;
/// Caches are empty at first; what they do is told from here on.
const WARM_UP: Duration = Duration::from_secs(10);

/// Traffic that is ready to run.
pub(crate) struct Traffic {
    shared: Arc<Shared>,
    changes: Changes,
    changes_per_second: f64,
    mix: MixArguments,
}

/// What all requests and changes of a run share.
struct Shared {
    client: Client,
    queries: Vec<Query>,
    zipf: Zipf,
    shown: Shown,
    truth: Truth,
}

/// Which stretch of a run it is; the replies of each are added up apart.
#[derive(Debug, Default)]
pub(crate) struct Phase(AtomicUsize);

enum Request {
    /// The query of this rank.
    Search(usize),
    Get(ToolId),
}

/// The command.
pub(crate) async fn run(arguments: TrafficArguments) -> anyhow::Result<()> {
    let (tenant, duration) = (arguments.tenant, Duration::from_secs(arguments.seconds));
    let tools = tools::load(&arguments.source, arguments.mix.catalogue.get())?;
    // Held until the end: the system ends with it.
    let mut fresh = None;
    let (client, workers) = if let Some(url) = &arguments.nats_url {
        (Client::connect(url, tenant).await?, arguments.metrics)
    } else {
        let setup = Setup { redis_url: arguments.use_redis, query_workers: arguments.query_workers.get() };
        let system = fresh.insert(System::start(arguments.source.programs, setup).await?);
        (system.client(tenant).await?, system.metrics())
    };
    let traffic = Traffic::prepare(client, tools, arguments.mix, arguments.registrations_per_second).await?;
    let phase = Phase::default();
    let layers = async {
        sleep(WARM_UP).await;
        phase.enter(1);
        let before = metrics::scrape(&workers).await?;
        sleep(duration.saturating_sub(WARM_UP)).await;
        anyhow::Ok(Layers::between(&before, &metrics::scrape(&workers).await?))
    };
    let running = traffic.run(duration, &["first 10 s", "after 10 s"], &phase);
    let (report, layers) = tokio::try_join!(running, layers)?;
    Report { layers: Some(layers), ..report }.conclude(arguments.json.as_deref())
}

impl Traffic {
    /// Fills the catalogue with the first tools; the others are what is registered while traffic runs.
    pub(crate) async fn prepare(
        client: Client,
        mut tools: Vec<Tool>,
        mix: MixArguments,
        changes_per_second: f64,
    ) -> anyhow::Result<Self> {
        ensure!(changes_per_second >= 0.0, "changes a second must not be negative");
        let zipf = Zipf::new(tools.len().max(mix.distinct.get()));
        let held_back = tools.split_off(mix.catalogue.get());
        let mut rng = StdRng::seed_from_u64(mix.seed);
        let queries = queries::make(&tools, &held_back, mix.distinct.get(), &mut rng)?;
        catalogue::fill(&client, &tools, tools.len()).await?;
        let changes = Changes::new(tools, held_back, queries.clone(), mix.seed);
        let (shown, truth) = (Shown::default(), Truth::default());
        let shared = Arc::new(Shared { client, queries, zipf, shown, truth });
        Ok(Self { shared, changes, changes_per_second, mix })
    }

    /// Runs, and tells what each phase showed.
    pub(crate) async fn run(
        self,
        duration: Duration,
        phases: &[&str],
        phase: &Phase,
    ) -> anyhow::Result<Report> {
        let Self { shared, changes, changes_per_second, mix } = self;
        let mut rng = StdRng::seed_from_u64(mix.seed);
        let mut tallies = vec![Tally::default(); phases.len()];
        let ask = |due| {
            let (shared, request, phase) = (Arc::clone(&shared), shared.draw(&mut rng), phase.now());
            async move { (phase, shared.ask(request, due).await) }
        };
        let take = |(phase, answer): (usize, Answer)| tallies[phase].count(answer);
        let (sent, changes) = tokio::join!(
            load::open_loop(mix.rate, duration, "traffic", ask, take),
            changes.publish(&shared, changes_per_second, duration),
        );
        let mut all = Tally::default();
        for tally in &tallies {
            all.add(tally);
        }
        let phases = phases.iter().zip(tallies).map(|(name, tally)| tally.figures(name));
        Ok(Report {
            seed: mix.seed,
            rate_asked: mix.rate,
            rate_reached: sent?.rate(),
            phases: phases.chain([all.figures("all")]).collect(),
            changes,
            layers: None,
        })
    }
}

impl Shared {
    fn draw(&self, rng: &mut impl Rng) -> Request {
        let got =
            if rng.random_bool(GETS) { self.shown.pick(|tools| self.zipf.draw(rng, tools)) } else { None };
        got.map_or_else(|| Request::Search(self.zipf.draw(rng, self.queries.len())), Request::Get)
    }

    async fn ask(&self, request: Request, due: Instant) -> Answer {
        // Before the request leaves: what becomes known on its way is nothing it has to know.
        let known = self.truth.known();
        let failure = match request {
            Request::Search(rank) => {
                let query = self.queries[rank].text.as_str();
                match self.client.search(&SearchRequest::new(query)).await {
                    Ok(reply) => {
                        self.shown.note(&reply);
                        let verdict = known.judge_search(query, &reply);
                        return Answer::searched(due, reply, verdict);
                    }
                    Err(error) => error,
                }
            }
            Request::Get(tool) => match self.client.get(tool.clone()).await {
                Ok(reply) => return Answer::got(due, known.judge_get(&reply)),
                Err(error) => {
                    let is_missing = client::code(&error) == Some(ErrorCode::NotFound);
                    if is_missing && self.truth.may_be_missing(&tool) {
                        return Answer::got(due, Verdict::default());
                    }
                    error
                }
            },
        };
        let code = client::code(&failure).map(|code| code.number().to_string());
        Answer::failed(due, code.unwrap_or_else(|| failure.root_cause().to_string()))
    }
}

impl Phase {
    pub(crate) fn enter(&self, phase: usize) {
        self.0.store(phase, Ordering::Relaxed);
    }

    fn now(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}
