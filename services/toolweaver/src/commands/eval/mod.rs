//! `eval`: evaluates search on workers over NATS, or in this process.
//!
//! `hosting` serves a set's tools over NATS for as long as it is measured. The measuring is the crate
//! `toolweaver-eval`'s.

mod hosting;

use std::time::Duration;

use clap::Args;
use toolweaver_contracts::{ErrorCode, Fault, SearchReply, SearchRequest, subjects};
use toolweaver_embedding::ModelConfig;
use toolweaver_embedding_worker::IndexingSettings;
use toolweaver_eval::{Evaluation, EvaluationArgs, Measured, SearchSystem, Set};
use toolweaver_messaging::NatsConfig;
use toolweaver_query_worker::QuerySettings;
use toolweaver_service_runtime::Shutdown;

use self::hosting::ThrowAway;
use crate::{
    client::{ANSWER_TIMEOUT, Client},
    data_dir::DataDir,
    options::Common,
    terminal::{Exit, Output, terminal_width},
    workers::{WorkerArgs, faulty},
};

/// Width of the report where the output is no terminal.
const COLUMNS_DEFAULT: u16 = 110;

/// Options of `eval`.
#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    #[command(flatten)]
    evaluation: EvaluationArgs,

    /// Seconds that a set's tools may take to become searchable
    #[arg(long, value_name = "SECONDS", default_value_t = 3_600)]
    timeout: u64,

    /// Seconds to wait once they are searchable: workers measure a new catalog now and then, which costs
    /// time, and their relevance decisions depend on it
    #[arg(long, value_name = "SECONDS", default_value_t = 6)]
    settle: u64,

    // Measured are the workers at this NATS; without --nats-url all are started here, and thrown away
    // afterwards.
    #[command(flatten)]
    nats: NatsConfig,

    #[command(flatten, next_help_heading = "Model of the workers started here")]
    model: ModelConfig,

    #[command(flatten, next_help_heading = "Indexing of the workers started here")]
    indexing: IndexingSettings,

    #[command(flatten, next_help_heading = "Queries of the workers started here")]
    query: QuerySettings,
}

/// Runs `eval DIR...`.
pub(crate) async fn eval(args: EvalArgs, common: &Common) -> Result<Exit, Fault> {
    let shutdown = Shutdown::new();
    shutdown
        .on_signals()
        .map_err(|error| Fault::new(ErrorCode::Internal, format!("cannot listen for signals: {error}")))?;
    let data_dir = DataDir::new(common.data_dir.as_deref())?;
    // All input is read before anything is started.
    let evaluation = Evaluation::read(args.evaluation.clone())?;
    let mut workers = hosting::worker_args(&args);
    if args.nats.nats_url.is_none() {
        workers.find_model(&data_dir)?;
        faulty(&workers.validate(), "eval")?;
    }
    let run = Run { args: &args, workers: &workers, data_dir: &data_dir, evaluation: &evaluation };
    let mut measured = Vec::new();
    for set in evaluation.sets() {
        measured.push(Box::pin(run.measure(set, &shutdown)).await?);
    }
    let report = evaluation.finish(measured)?;
    let columns = terminal_width().and_then(|columns| u16::try_from(columns).ok());
    let text = || report.text(columns.unwrap_or(COLUMNS_DEFAULT));
    Output { json: common.json }.result(&report, text)?;
    Ok(Exit::Done)
}

struct Run<'a> {
    args: &'a EvalArgs,
    workers: &'a WorkerArgs,
    data_dir: &'a DataDir,
    evaluation: &'a Evaluation,
}

impl Run<'_> {
    /// Measures one set, on a system or at least in a catalog of its own.
    async fn measure(&self, set: &Set, shutdown: &Shutdown) -> Result<Measured, Fault> {
        let stop = shutdown.soft();
        let interrupted = || Err(Fault::new(ErrorCode::Internal, "interrupted"));
        if self.args.evaluation.offline {
            let work = self.evaluation.measure_offline(set, &self.workers.model);
            return stop.run_until_cancelled(work).await.unwrap_or_else(interrupted);
        }
        let work = async |client: &Client| {
            stop.run_until_cancelled(self.over_nats(client, set)).await.unwrap_or_else(interrupted)
        };
        if self.args.nats.nats_url.is_some() {
            let client = hosting::connect(self.args.nats.clone(), set, self.data_dir).await?;
            let outcome = work(&client).await;
            // Whatever came of it: what was registered is of no use to anybody any more.
            let removed = hosting::unregister(&client, set).await;
            return outcome.and_then(|measured| removed.map(|()| measured));
        }
        let host = ThrowAway::start(self.workers).await?;
        let nats = host.nats();
        Box::pin(host.during(async { work(&hosting::connect(nats, set, self.data_dir).await?).await })).await
    }

    async fn over_nats(&self, client: &Client, set: &Set) -> Result<Measured, Fault> {
        let seconds = hosting::register(client, set, Duration::from_secs(self.args.timeout)).await?;
        // Nothing on the wire says when workers have measured the catalog.
        tokio::time::sleep(Duration::from_secs(self.args.settle)).await;
        self.evaluation.measure(set, client, seconds).await
    }
}

impl SearchSystem for Client {
    /// Asks query workers by request-reply, as agents ask them.
    async fn search(&self, request: &SearchRequest) -> Result<SearchReply, Fault> {
        self.ask(&subjects::search(&self.tenant), request, ANSWER_TIMEOUT).await
    }
}
