//! The real program, as a user runs it: its processes, its exit codes, its output, and what it leaves behind.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by failing there")]

mod eval;
mod flow;
mod lifecycle;
mod manners;
mod model_pull;
mod qdrant;
mod refusals;
mod startup;
mod support;
mod traces;
