//! Traffic while Redis breaks: one fault after the other in one run.

use std::time::Duration;

use anyhow::Context as _;
use tokio::time::{Instant, sleep, sleep_until};
use toolweaver_contracts::Tenant;

use crate::{
    arguments::FaultsArguments,
    redis::{Node, Redis},
    system::{Setup, System},
    tools,
    traffic::{Phase, Traffic},
};

/// Duration of a fault.
const LASTS: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy)]
enum Fault {
    None,
    /// Everything is forgotten.
    Flush,
    /// Commands are accepted and not answered.
    Sleep,
    /// The process is frozen: not even the connection's end is noticed.
    Freeze,
    /// The process is killed, and starts again empty.
    Kill,
}

const PHASES: [(&str, Fault); 6] = [
    ("before", Fault::None),
    ("FLUSHALL", Fault::Flush),
    ("DEBUG SLEEP 5", Fault::Sleep),
    ("SIGSTOP for 5 s", Fault::Freeze),
    ("kill -9, back after 5 s", Fault::Kill),
    ("recovery", Fault::None),
];

/// Runs `loadtest faults`.
pub(crate) async fn run(arguments: FaultsArguments) -> anyhow::Result<()> {
    let FaultsArguments { run, cluster, phase_seconds } = arguments;
    let tools = tools::load(&run.source, run.mix.catalog.get())?;
    let mut redis = if cluster {
        Redis::start_cluster(&run.redis_server).await?
    } else {
        Redis::start(&run.redis_server).await?
    };
    let setup = Setup { redis_url: Some(redis.url()), ..Setup::default() };
    let system = System::start(run.source.programs, setup).await?;
    let client = system.client(Tenant::default()).await?;
    let traffic = Traffic::prepare(client, tools, run.mix, run.registrations_per_second).await?;

    let (phase, lasts) = (Phase::default(), Duration::from_secs(phase_seconds));
    let breaking = async {
        let mut end = Instant::now();
        for (place, (name, fault)) in PHASES.into_iter().enumerate() {
            phase.enter(place);
            end += lasts;
            fault.inflict(&mut redis).await.with_context(|| format!("cannot do {name}"))?;
            sleep_until(end).await;
        }
        phase.end();
        anyhow::Ok(())
    };
    let names = PHASES.map(|(name, _)| name);
    let running = traffic.run(&names, &phase);
    let (report, ()) = tokio::try_join!(running, breaking)?;
    report.conclude(run.json.as_deref())
}

impl Fault {
    /// Breaks one server, of a cluster a master, and returns when the fault itself is over.
    async fn inflict(self, redis: &mut Redis) -> anyhow::Result<()> {
        if matches!(self, Self::None) {
            return Ok(());
        }
        let mut masters = redis.masters().await?;
        if matches!(self, Self::Flush) {
            for master in &masters {
                master.expect_ok("FLUSHALL").await?;
            }
            return Ok(());
        }
        let master: &mut Node = masters.first_mut().context("there is no master")?;
        match self {
            Self::None | Self::Flush => {}
            Self::Sleep => master.expect_ok(&format!("DEBUG SLEEP {}", LASTS.as_secs())).await?,
            Self::Freeze => {
                master.signal("STOP")?;
                sleep(LASTS).await;
                master.signal("CONT")?;
            }
            Self::Kill => {
                master.kill();
                sleep(LASTS).await;
                master.restart().await?;
            }
        }
        Ok(())
    }
}
