//! Traffic as agents make it, on a catalog that changes, with every reply checked.

mod changes;
mod kept;
mod learning;
mod queries;
mod report;
mod requests;
mod shown;
mod tally;
mod truth;
mod zipf;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::ensure;
use rand::{SeedableRng as _, rngs::StdRng};
use tokio::{sync::watch, time::sleep};
use toolweaver_contracts::Tool;

pub(crate) use self::report::{Report, write};
use self::{
    changes::Changes,
    report::Layers,
    requests::Shared,
    shown::Shown,
    tally::{Answer, Tally},
    truth::{Fact, Truth},
    zipf::Zipf,
};
use crate::{
    arguments::{MixArguments, TrafficArguments},
    catalog,
    client::Client,
    load, metrics,
    system::{Setup, System},
    tools,
};

/// Time after which cache statistics begin: caches are empty at first.
const WARM_UP: Duration = Duration::from_secs(10);

/// Traffic that is ready to run.
pub(crate) struct Traffic {
    shared: Arc<Shared>,
    changes: Changes,
    changes_per_second: f64,
    mix: MixArguments,
}

/// Current phase of a run, and its end; the replies of each phase are added up apart.
#[derive(Debug, Default)]
pub(crate) struct Phase {
    place: AtomicUsize,
    is_over: watch::Sender<bool>,
}

/// Runs `loadtest traffic`.
pub(crate) async fn run(arguments: TrafficArguments) -> anyhow::Result<()> {
    let (tenant, duration) = (arguments.tenant, Duration::from_secs(arguments.seconds));
    let tools = tools::load(&arguments.source, arguments.mix.catalog.get())?;
    // Held until the end: the system ends with it.
    let mut fresh = None;
    let (client, workers) = if let Some(url) = &arguments.nats_url {
        (Client::connect(url, tenant).await?, arguments.metrics)
    } else {
        let (redis_url, query_workers) = (arguments.use_redis, arguments.query_workers.get());
        let setup = Setup { redis_url, query_workers, ..Setup::default() };
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
        phase.end();
        anyhow::Ok(Layers::between(&before, &metrics::scrape(&workers).await?))
    };
    let running = traffic.run(&["first 10 s", "after 10 s"], &phase);
    let (report, layers) = tokio::try_join!(running, layers)?;
    Report { layers: Some(layers), ..report }.conclude(arguments.json.as_deref())
}

impl Traffic {
    /// Fills the catalog with the first tools; the others are registered while traffic runs.
    pub(crate) async fn prepare(
        client: Client,
        mut tools: Vec<Tool>,
        mix: MixArguments,
        changes_per_second: f64,
    ) -> anyhow::Result<Self> {
        ensure!(changes_per_second >= 0.0, "changes a second must not be negative");
        let zipf = Zipf::new(tools.len().max(mix.distinct.get()));
        let held_back = tools.split_off(mix.catalog.get());
        let mut rng = StdRng::seed_from_u64(mix.seed);
        let queries = queries::make(&tools, &held_back, mix.distinct.get(), &mut rng)?;
        catalog::fill(&client, &tools, tools.len()).await?;
        let changes = Changes::new(tools, held_back, queries.clone(), mix.seed);
        let (shown, truth) = (Shown::default(), Truth::default());
        truth.learn(Fact::Added, client.domains().await?.catalog_version);
        let shared = Arc::new(Shared { client, queries, zipf, shown, truth });
        Ok(Self { shared, changes, changes_per_second, mix })
    }

    /// Runs until `phase` ends, checks that every change is there, and reports each phase.
    pub(crate) async fn run(self, phases: &[&str], phase: &Phase) -> anyhow::Result<Report> {
        let Self { shared, changes, changes_per_second, mix } = self;
        let mut rng = StdRng::seed_from_u64(mix.seed);
        let mut tallies = vec![Tally::default(); phases.len()];
        let ask = |due| {
            let (shared, request, place) = (Arc::clone(&shared), shared.draw(&mut rng), phase.now());
            async move { (place, shared.ask(request, due).await) }
        };
        let take = |(place, answer): (usize, Answer)| tallies[place].count(answer);
        let asking = load::open_loop(mix.rate, phase.ended(), "traffic", ask, take);
        let publishing = async { Ok(changes.publish(&shared, changes_per_second, phase).await) };
        let (sent, changes) = tokio::try_join!(asking, publishing)?;
        for (place, took) in &changes.found {
            tallies[*place].found(*took);
        }
        let mut all = Tally::default();
        for tally in &tallies {
            all.add(tally);
        }
        let phases = phases.iter().zip(tallies).map(|(name, tally)| tally.figures(name));
        Ok(Report {
            seed: mix.seed,
            rate_asked: mix.rate,
            rate_reached: sent.rate(),
            phases: phases.chain([all.figures("all")]).collect(),
            changes,
            layers: None,
        })
    }
}

impl Phase {
    pub(crate) fn enter(&self, place: usize) {
        self.place.store(place, Ordering::Relaxed);
    }

    /// Ends the run: nothing more is asked or published.
    pub(crate) fn end(&self) {
        self.is_over.send_replace(true);
    }

    fn now(&self) -> usize {
        self.place.load(Ordering::Relaxed)
    }

    async fn ended(&self) {
        // Fails only when the sender is gone, and `self` holds it.
        self.is_over.subscribe().wait_for(|is_over| *is_over).await.ok();
    }
}

/// Locks a mutex; whoever panicked while holding it has ended the run.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
