//! `completions`: a script with which a shell completes commands, options and their values.

use clap::Args;
use clap_complete::Shell;
use toolweaver_contracts::Fault;

use crate::terminal::{Exit, line};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bash        source <(toolweaver completions bash)
  zsh         toolweaver completions zsh > \"${fpath[1]}/_toolweaver\"
  fish        toolweaver completions fish > ~/.config/fish/completions/toolweaver.fish
  powershell  toolweaver completions powershell | Out-String | Invoke-Expression")]
pub(crate) struct CompletionsArgs {
    /// Shell that the script is for
    shell: Shell,
}

/// Runs `completions SHELL` for a program with this command line.
pub(crate) fn completions(args: &CompletionsArgs, mut program: clap::Command) -> Result<Exit, Fault> {
    let name = program.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut program, name, &mut script);
    line(String::from_utf8_lossy(&script).trim_end())?;
    Ok(Exit::Done)
}
