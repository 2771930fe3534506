//! Traffic while every worker is replaced, one after the other, with the signals and the grace of the
//! chart. NATS and Redis stay.

mod replace;
mod report;

use std::time::Duration;

use tokio::time::sleep;
use toolweaver_contracts::Tenant;

use self::{
    replace::{Manner, replace},
    report::Report,
};
use crate::{
    arguments::RollingArguments,
    redis::Redis,
    system::{Kind, Setup, System},
    tools,
    traffic::{Phase, Traffic},
};

/// Workers of each kind except query workers.
const WORKERS: usize = 2;
const PHASES: [&str; 2 + Kind::ALL.len()] =
    ["before", "embedding workers", "cache invalidators", "query workers", "after"];

/// Runs `loadtest rolling`.
pub(crate) async fn run(arguments: RollingArguments) -> anyhow::Result<()> {
    let run = &arguments.run;
    let tools = tools::load(&run.source, run.mix.catalog.get())?;
    let redis = Redis::start(&run.redis_server).await?;
    let manner = Manner::new(&arguments);
    let setup = Setup {
        redis_url: Some(redis.url()),
        embedding_workers: WORKERS,
        cache_invalidators: WORKERS,
        query_workers: usize::from(arguments.query_workers),
        drain_seconds: Some(arguments.drain_seconds),
        logs: arguments.logs.clone(),
    };
    let mut system = System::start(run.source.programs.clone(), setup).await?;
    system.ready().await?;
    let client = system.client(Tenant::default()).await?;
    let traffic = Traffic::prepare(client, tools, run.mix, run.registrations_per_second).await?;

    let (phase, settle) = (Phase::default(), Duration::from_secs(arguments.settle_seconds));
    let replacing = async {
        sleep(settle).await;
        let mut replaced = Vec::new();
        for (place, kind) in (1..).zip(Kind::ALL) {
            phase.enter(place);
            for _ in 0..system.count(kind) {
                replaced.push(replace(&mut system, kind, manner).await?);
            }
        }
        phase.enter(PHASES.len() - 1);
        sleep(settle).await;
        system.must_be_complete()?;
        phase.end();
        anyhow::Ok(replaced)
    };
    let (traffic, replaced) = tokio::try_join!(traffic.run(&PHASES, &phase), replacing)?;
    Report { manner, traffic, replaced }.conclude(run.json.as_deref())
}
