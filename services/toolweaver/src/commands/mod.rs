//! Commands: one module each, which holds the arguments and the work. No command uses another.

mod completions;
mod doctor;
mod domains;
mod eval;
mod get;
mod import;
mod man;
mod model_pull;
mod register;
mod remove;
mod search;
mod status;
mod up;

pub(crate) use self::{
    completions::{CompletionsArgs, completions},
    doctor::{DoctorArgs, doctor},
    domains::{DomainsArgs, domains},
    eval::{EvalArgs, eval},
    get::{GetArgs, get},
    import::{ImportCommand, import},
    man::{ManArgs, man},
    model_pull::{ModelCommand, model},
    register::{RegisterArgs, register},
    remove::{RemoveArgs, remove},
    search::{SearchArgs, search},
    status::status,
    up::{HTTP_ADDR_DEFAULT, LOG_FILTER_DEFAULT, UpArgs, up},
};
