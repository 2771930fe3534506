//! The real program, as a user runs it: its processes, its exit codes, what it prints, and what is left afterwards.

mod flow;
mod lifecycle;
mod model_pull;
mod refusals;
mod support;
