//! Inputs of an evaluation: sets, queries of other sets, and the folders of the files to be written.

use std::{collections::HashSet, path::Path};

use toolweaver_contracts::{ErrorCode, Fault};

use crate::{
    args::EvaluationArgs,
    console::remark,
    off_catalogue::ForeignQueries,
    set::{Set, name_of, read_queries},
};

/// Reads the sets, whose names must differ.
pub(crate) fn read_sets(args: &EvaluationArgs) -> Result<Vec<Set>, Fault> {
    let mut names = HashSet::new();
    let mut sets = Vec::new();
    for folder in &args.sets {
        let set = Set::read(folder, args.sample())?;
        if !names.insert(set.name.clone()) {
            let message = format!("two sets are called {}, and a run tells sets by their names", set.name);
            return Err(Fault::new(ErrorCode::BadRequest, message).hint("rename one of the folders"));
        }
        if set.unjudged > 0 {
            remark(&format!(
                "{}: {} queries have no relevant tool and are not asked",
                set.name, set.unjudged
            ));
        }
        sets.push(set);
    }
    Ok(sets)
}

/// Reads the queries that no tool answers; empty where they are not asked for.
pub(crate) fn read_foreign(args: &EvaluationArgs) -> Result<Vec<ForeignQueries>, Fault> {
    if args.off_catalogue.is_empty() {
        return Ok(Vec::new());
    }
    let mut foreign = Vec::new();
    for folder in &args.off_catalogue {
        foreign.push(ForeignQueries::of_set(name_of(folder), read_queries(folder)?, args.sample()));
    }
    foreign.push(ForeignQueries::random(args.seed));
    Ok(foreign)
}

/// Checks that a file can be written: better known before an hour of measuring than after it.
pub(crate) fn check_folder(file: &Path) -> Result<(), Fault> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    if folder.is_none_or(Path::is_dir) {
        return Ok(());
    }
    Err(Fault::new(ErrorCode::BadRequest, format!("there is no folder for {}", file.display())))
}
