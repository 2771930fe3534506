//! Command line: the program's options and the list of its commands.

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::{
    commands::{
        CompletionsArgs, DoctorArgs, DomainsArgs, EvalArgs, GetArgs, HTTP_ADDR_DEFAULT, ImportCommand,
        LOG_FILTER_DEFAULT, ManArgs, ModelCommand, RegisterArgs, RemoveArgs, SearchArgs, UpArgs,
    },
    options::{Common, Connection},
    terminal::{EXIT_CODES, Output, line, note, terminal_width, wrap_help},
};

/// Version of the program and the commit it was built from.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("TOOLWEAVER_COMMIT"), ")");
/// Width of the help at most, and where the terminal does not tell its own: longer lines are hard to read.
const HELP_WIDTH_MAX: usize = 100;

/// Finds the right tools for an AI agent: registers and searches them, and runs the workers that make it so.
#[derive(Debug, Parser)]
#[command(name = "toolweaver", version = VERSION, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run everything in this process: NATS, the three workers, and what they need
    Up(Box<UpArgs>),
    /// Register tools from a file, or from stdin
    Register(RegisterArgs),
    /// Remove tools
    Remove(RemoveArgs),
    /// Register the operations of an API
    #[command(subcommand)]
    Import(ImportCommand),
    /// Find the tools for what an agent wants to do
    Search(SearchArgs),
    /// Show one tool
    Get(GetArgs),
    /// List the domains and how many tools each has
    Domains(DomainsArgs),
    /// Show versions, lag, streams and workers
    Status(Connection),
    /// Check NATS, the workers and what they depend on, and say what to do
    Doctor(DoctorArgs),
    /// Get models
    #[command(subcommand)]
    Model(ModelCommand),
    /// Measure how good and how fast search is, on sets of queries whose right tools are known
    Eval(Box<EvalArgs>),
    /// Print a script with which a shell completes commands and options
    Completions(CompletionsArgs),
    /// Write manual pages into a folder
    Man(ManArgs),
}

impl Cli {
    /// Returns the command line of the program, with the defaults that belong to `up` alone.
    pub(crate) fn program() -> clap::Command {
        Self::command().mut_subcommand("up", |up| {
            up.mut_arg("http_addr", |addr| addr.default_value(HTTP_ADDR_DEFAULT))
                .mut_arg("log_filter", |filter| filter.default_value(LOG_FILTER_DEFAULT))
        })
    }

    /// Parses the arguments of this process. An error is the exit code; its text is written by then.
    pub(crate) fn parse_arguments() -> Result<Self, ExitCode> {
        let parsed = Self::program().try_get_matches().and_then(|matches| Self::from_arg_matches(&matches));
        parsed.map_err(|error| {
            let code = u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
            let width = terminal_width().unwrap_or(HELP_WIDTH_MAX).min(HELP_WIDTH_MAX);
            let text = error.render();
            if error.use_stderr() {
                let text =
                    if console::colors_enabled_stderr() { text.ansi().to_string() } else { text.to_string() };
                note(wrap_help(&text, width).trim_end());
                return code;
            }
            let text = if console::colors_enabled() { text.ansi().to_string() } else { text.to_string() };
            match line(wrap_help(&text, width).trim_end()) {
                Ok(()) => code,
                Err(fault) => {
                    Output { json: false }.failure(&fault);
                    ExitCode::FAILURE
                }
            }
        })
    }
}

impl Command {
    /// Returns the connection of a command that asks running workers.
    pub(crate) fn connection(&self) -> Option<&Connection> {
        match self {
            Self::Register(args) => Some(&args.connection),
            Self::Remove(args) => Some(&args.connection),
            Self::Import(command) => Some(command.connection()),
            Self::Search(args) => Some(&args.connection),
            Self::Get(args) => Some(&args.connection),
            Self::Domains(args) => Some(&args.connection),
            Self::Status(connection) => Some(connection),
            Self::Doctor(args) => Some(&args.connection),
            Self::Up(_) | Self::Model(_) | Self::Eval(_) | Self::Completions(_) | Self::Man(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::program().debug_assert();
    }
}
