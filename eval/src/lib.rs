//! Evaluation of search: retrieval quality, abstention, routing and latency, on sets with relevance
//! judgements.
//!
//! ```text
//! set ─▶ a system that holds its tools ─▶ ask ─▶ ask explained ─▶ (foreign queries) ─▶ (names) ─▶ summary
//!           over NATS, served by the caller; or offline, in this process
//! ```
//! [`Evaluation`] is the whole run: it reads everything before anything is started, asks one [`SearchSystem`]
//! for each set, and makes the [`Report`]. The inputs are read by `set` and `lines`; `quality`,
//! `off_catalogue`, `names` and `routing` ask and judge; `metrics` and `statistics` are the formulas; `run`
//! is the saved form and `compare` reads it again. Here does **not** live: any ranking, or any NATS.

mod args;
mod compare;
mod console;
mod evaluation;
mod failures;
mod inputs;
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

pub use self::{
    args::EvaluationArgs,
    evaluation::{Evaluation, Measured},
    report::Report,
    set::Set,
    system::SearchSystem,
};
