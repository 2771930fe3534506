//! A run from its inputs to its report, one set at a time.

use std::time::Instant;

use toolweaver_contracts::{ErrorCode, Fault};
use toolweaver_embedding::ModelConfig;

use crate::{
    args::EvaluationArgs,
    compare::compare,
    failures,
    inputs::{check_folder, read_foreign, read_sets},
    names::{self, Miss},
    off_catalogue::{self, ForeignQueries},
    offline::Offline,
    quality::{self, Quality},
    report::Report,
    routing::Routing,
    run::{self, Run, SetRun, Summary},
    set::Set,
    system::{Questioner, SearchSystem},
};

/// A run whose inputs are read and whose outputs can be written.
#[derive(Debug)]
pub struct Evaluation {
    args: EvaluationArgs,
    sets: Vec<Set>,
    foreign: Vec<ForeignQueries>,
    before: Option<Run>,
}

/// The measurements of one set.
#[derive(Debug)]
pub struct Measured {
    run: SetRun,
    failures: Option<String>,
}

impl Evaluation {
    /// Reads all inputs and checks the folders of all outputs, before anything is started.
    pub fn read(args: EvaluationArgs) -> Result<Self, Fault> {
        let sets = read_sets(&args)?;
        let foreign = read_foreign(&args)?;
        let before = args.compare.as_deref().map(Run::load).transpose()?;
        for file in [&args.save, &args.failures].into_iter().flatten() {
            check_folder(file)?;
        }
        Ok(Self { args, sets, foreign, before })
    }

    /// Returns the sets, in the order they were given.
    pub fn sets(&self) -> &[Set] {
        &self.sets
    }

    /// Measures a set in this process, without NATS.
    pub async fn measure_offline(&self, set: &Set, model: &ModelConfig) -> Result<Measured, Fault> {
        let begin = Instant::now();
        let loaded = toolweaver_embedding::load(model).await.map_err(|error| {
            Fault::new(ErrorCode::Internal, format!("cannot load the embedding model: {error}"))
        })?;
        let vectors_dir = self.args.vectors_dir.as_deref();
        let with_routing = !self.args.no_routing;
        let offline = Offline::open(loaded, model.limits(), set, vectors_dir, with_routing).await?;
        self.measure(set, &offline, begin.elapsed().as_secs_f64()).await
    }

    /// Measures a set on a system that holds its tools and nothing else.
    pub async fn measure(
        &self,
        set: &Set,
        system: &impl SearchSystem,
        searchable_seconds: f64,
    ) -> Result<Measured, Fault> {
        let args = &self.args;
        let questioner = Questioner::new(system, args.concurrency);
        let quality = quality::ask(&questioner, set, args.seed).await?;
        let off_catalogue = if self.foreign.is_empty() {
            None
        } else {
            Some(off_catalogue::ask(&questioner, &quality.runs, &self.foreign).await?)
        };
        let (names, misses) = if args.names {
            names::ask(&questioner, set, args.names_max, args.seed).await?
        } else {
            (Vec::new(), Vec::<Miss>::new())
        };
        let failures = args.failures.as_ref().map(|_| failures::text(set, &quality, &misses));
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
        Ok(Measured { run: SetRun { summary, queries: runs }, failures })
    }

    /// Writes the files that were asked for and makes the report.
    pub fn finish(self, measured: Vec<Measured>) -> Result<Report, Fault> {
        let args = self.args;
        let failures: String = measured.iter().filter_map(|set| set.failures.as_deref()).collect();
        let runs: Vec<SetRun> = measured.into_iter().map(|set| set.run).collect();
        if let Some(file) = &args.failures {
            run::write(file, failures.as_bytes())?;
        }
        let comparison = match (&args.compare, &self.before) {
            (Some(file), Some(before)) => Some(compare(file, before, &runs, args.seed)?),
            _ => None,
        };
        let run = Run::new(runs);
        if let Some(file) = &args.save {
            run.save(file)?;
        }
        let sets = run.sets.into_iter().map(|set| set.summary).collect();
        Ok(Report { sets, comparison })
    }
}
