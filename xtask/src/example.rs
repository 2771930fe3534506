//! Run of the Python example, which uses nothing of ours: a stock client against a running ToolWeaver.

use std::env;
use std::path::Path;

use anyhow::Result;

use crate::downloads::{self, Runtime};
use crate::process::{self, Scratch};
use crate::up::Up;

pub(crate) fn run(toolweaver: &Path, runtime: &Runtime) -> Result<()> {
    let packages = downloads::python_packages()?;
    let data = Scratch::new(&env::temp_dir(), "toolweaver-example")?;
    let up = Up::start(toolweaver, data.path(), runtime, false)?;
    let mut example = downloads::python();
    example.arg("examples/python/register_and_search.py").env("PYTHONPATH", packages);
    process::run(example.env("NATS_URL", up.nats_url()))?;
    up.stop()
}
