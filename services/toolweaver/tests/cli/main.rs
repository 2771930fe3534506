//! The real program, as a user runs it: its processes, its exit codes, what it prints, and what is left afterwards.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by failing there")]

mod eval;
mod flow;
mod lifecycle;
mod model_pull;
mod qdrant;
mod refusals;
mod support;
mod traces;
