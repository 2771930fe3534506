//! `eval`: how good search is, on sets of queries whose right tools are known.
//!
//! ```text
//! set ─▶ register ─▶ searchable ─▶ ask ─▶ ask explained ─▶ (foreign queries) ─▶ (names) ─▶ summary
//!           └──── over NATS, as any client would; or offline, in this process ────┘
//! ```
//! Here lives what is asked and how the answers are judged. Here does **not** live: any ranking.

mod args;
mod compare;
mod failures;
mod hosting;
mod latency;
mod lines;
mod metrics;
mod names;
mod off_catalogue;
mod offline;
mod quality;
mod random;
mod report;
mod routing;
mod run;
mod set;
mod statistics;
mod system;

use std::{
    collections::HashSet,
    path::Path,
    time::{Duration, Instant},
};

use serde::Serialize;
use toolweaver_contracts::{ErrorCode, Fault};
use toolweaver_service_runtime::Shutdown;

pub(crate) use self::args::EvalArgs;
use self::{
    compare::{Comparison, compare},
    hosting::ThrowAway,
    names::Miss,
    off_catalogue::Foreign,
    offline::Offline,
    quality::Quality,
    routing::Routing,
    run::{Run, SetRun, Summary},
    set::{Set, name_of, read_queries},
    system::System,
};
use crate::{
    client::Client,
    data_dir::DataDir,
    options::Common,
    terminal::{Exit, Output, note},
    workers::{WorkerArgs, faulty},
};

/// Everything, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Report {
    sets: Vec<Summary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comparison: Option<Comparison>,
}

/// What one set has told.
struct Evaluated {
    run: SetRun,
    failures: Option<String>,
}

/// `eval DIR...`.
pub(crate) async fn eval(args: EvalArgs, common: &Common) -> Result<Exit, Fault> {
    let shutdown = Shutdown::new();
    shutdown
        .on_signals()
        .map_err(|error| Fault::new(ErrorCode::Internal, format!("cannot listen for signals: {error}")))?;
    let data_dir = DataDir::new(common.data_dir.as_deref())?;
    // All input is read before anything is started.
    let sets = read_sets(&args)?;
    let foreign = read_foreign(&args)?;
    let before = args.compare.as_deref().map(Run::load).transpose()?;
    for file in [&args.save, &args.failures].into_iter().flatten() {
        check_folder(file)?;
    }
    let mut workers = hosting::worker_args(&args);
    if args.nats.nats_url.is_none() {
        workers.find_model(&data_dir)?;
        faulty(&workers.validate(), "eval")?;
    }

    let (mut runs, mut failures) = (Vec::new(), String::new());
    for set in &sets {
        let evaluated = Box::pin(evaluate(&args, &workers, &data_dir, set, &foreign, &shutdown)).await?;
        runs.push(evaluated.run);
        failures.extend(evaluated.failures);
    }
    if let Some(file) = &args.failures {
        run::write(file, failures.as_bytes())?;
    }
    let comparison = match (&args.compare, &before) {
        (Some(file), Some(before)) => Some(compare(file, before, &runs, args.seed)?),
        _ => None,
    };
    let run = Run::new(runs);
    if let Some(file) = &args.save {
        run.save(file)?;
    }
    let sets = run.sets.into_iter().map(|set| set.summary).collect();
    let report = Report { sets, comparison };
    Output { json: common.json }.result(&report, || report::human(&report))?;
    Ok(Exit::Done)
}

/// One set, on a system or at least in a catalogue of its own.
async fn evaluate(
    args: &EvalArgs,
    workers: &WorkerArgs,
    data_dir: &DataDir,
    set: &Set,
    foreign: &[Foreign],
    shutdown: &Shutdown,
) -> Result<Evaluated, Fault> {
    let work = async |client: Client| {
        let work = async {
            let seconds = hosting::register(&client, set, Duration::from_secs(args.timeout)).await?;
            // Nothing on the wire says when workers have measured the catalogue.
            tokio::time::sleep(Duration::from_secs(args.settle)).await;
            measure(args, &System::Nats(Box::new(client.clone())), set, foreign, seconds).await
        };
        let interrupted = || Fault::new(ErrorCode::Internal, "interrupted");
        shutdown.soft().run_until_cancelled(work).await.unwrap_or_else(|| Err(interrupted()))
    };
    if args.offline {
        let begin = Instant::now();
        let model = toolweaver_embedding::load(&workers.model).map_err(|error| {
            Fault::new(ErrorCode::Internal, format!("cannot load the embedding model: {error}"))
        })?;
        let limits = workers.model.limits();
        let mut offline = Offline::open(model, limits, set, args.vectors_dir.as_deref()).await?;
        if args.no_routing {
            offline = offline.without_routing();
        }
        let seconds = begin.elapsed().as_secs_f64();
        return measure(args, &System::Offline(Box::new(offline)), set, foreign, seconds).await;
    }
    if args.nats.nats_url.is_some() {
        let client = hosting::connect(args.nats.clone(), set, data_dir).await?;
        let outcome = work(client.clone()).await;
        // Whatever came of it: what was registered is of no use to anybody any more.
        let removed = hosting::unregister(&client, set).await;
        return outcome.and_then(|evaluated| removed.map(|()| evaluated));
    }
    let host = ThrowAway::start(workers).await?;
    let nats = host.nats();
    Box::pin(host.during(async { work(hosting::connect(nats, set, data_dir).await?).await })).await
}

/// Asks everything that is to be asked of a system that holds the set.
async fn measure(
    args: &EvalArgs,
    system: &System,
    set: &Set,
    foreign: &[Foreign],
    searchable_seconds: f64,
) -> Result<Evaluated, Fault> {
    let quality = quality::ask(system, args.concurrency, set, args.seed).await?;
    let off_catalogue = if foreign.is_empty() {
        None
    } else {
        Some(off_catalogue::judge(system, args.concurrency, &quality.runs, foreign).await?)
    };
    let (names, misses) = if args.names {
        names::ask(system, args.concurrency, set, args.names_max, args.seed).await?
    } else {
        (Vec::new(), Vec::<Miss>::new())
    };
    let failures = args.failures.as_ref().map(|_| failures::told(set, &quality, &misses));
    let routing = Routing::of(set, &quality.runs);
    let Quality { runs, fused, arms, kinds, latency, ranker, degraded, .. } = quality;
    let summary = Summary {
        set: set.name.clone(),
        tools: set.tools.len(),
        queries: runs.len(),
        queries_all: set.queries_all,
        seed: args.seed,
        ranker,
        searchable_seconds,
        degraded,
        fused,
        arms,
        kinds,
        latency,
        routing,
        off_catalogue,
        names,
    };
    Ok(Evaluated { run: SetRun { summary, queries: runs }, failures })
}

fn read_sets(args: &EvalArgs) -> Result<Vec<Set>, Fault> {
    let mut names = HashSet::new();
    let mut sets = Vec::new();
    for folder in &args.sets {
        let set = Set::read(folder, args.sample())?;
        if !names.insert(set.name.clone()) {
            let message = format!("two sets are called {}, and a run tells sets by their names", set.name);
            return Err(Fault::new(ErrorCode::BadRequest, message).hint("rename one of the folders"));
        }
        if set.unjudged > 0 {
            note(&format!("{}: {} queries have no relevant tool and are not asked", set.name, set.unjudged));
        }
        sets.push(set);
    }
    Ok(sets)
}

/// The queries to which nothing is the answer; none where they are not asked for.
fn read_foreign(args: &EvalArgs) -> Result<Vec<Foreign>, Fault> {
    if args.off_catalogue.is_empty() {
        return Ok(Vec::new());
    }
    let mut foreign = Vec::new();
    for folder in &args.off_catalogue {
        foreign.push(Foreign::of_set(name_of(folder), read_queries(folder)?, args.sample()));
    }
    foreign.push(Foreign::random(args.seed));
    Ok(foreign)
}

/// That a file can be written is better known before an hour of measuring than after it.
fn check_folder(file: &Path) -> Result<(), Fault> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    if folder.is_none_or(Path::is_dir) {
        return Ok(());
    }
    Err(Fault::new(ErrorCode::BadRequest, format!("there is no folder for {}", file.display())))
}
