//! The optional folder of large data sets (10,000 and more real tools, evaluation sets).
//!
//! It is not part of the repository. A test that needs it asks here and prints what it leaves out when the
//! folder is not there.

use std::path::PathBuf;

use crate::parts;

const VARIABLE: &str = "TOOLWEAVER_SHARED_DATA";

/// Returns the data folder: `TOOLWEAVER_SHARED_DATA`, else `shared` beside the workspace, else none.
///
/// None is said loudly on stderr, so that a test that then does less is never taken for one that did all.
/// Where the data must be there (a CI that has it), set the variable: a folder that is set and missing is a
/// panic.
pub fn shared_dir() -> Option<PathBuf> {
    parts::from_env(VARIABLE).or_else(|| {
        let beside = parts::workspace_dir().join("../shared");
        if beside.is_dir() {
            return Some(beside);
        }
        eprintln!(
            "!!! LEFT OUT: the optional data folder is missing; \
             what needs it is not tested. Set {VARIABLE}, or put it at ../shared beside the workspace."
        );
        None
    })
}
