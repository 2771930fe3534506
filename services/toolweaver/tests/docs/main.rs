//! The pages of the repository against the program: the commands run, and the links lead somewhere.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by failing there")]

mod commands;
mod links;
mod output;
mod pages;
mod workspace;
