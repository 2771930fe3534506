//! YAML files as JSON values. Python reads them, so that this crate needs no parser of its own.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::downloads;
use crate::process::output;

const TO_JSON: &str = "import json, sys, yaml
with open(sys.argv[1]) as file:
    print(json.dumps([document for document in yaml.safe_load_all(file) if document]))";

/// Reads a file of one document.
pub(crate) fn document(file: &Path) -> Result<Value> {
    documents(file)?.into_iter().next().with_context(|| format!("{} is empty", file.display()))
}

/// Reads all documents of a file.
pub(crate) fn documents(file: &Path) -> Result<Vec<Value>> {
    let mut read = downloads::python();
    read.env("PYTHONPATH", downloads::python_packages()?).args(["-c", TO_JSON]).arg(file);
    let text = output(&mut read).with_context(|| format!("could not read {}", file.display()))?;
    Ok(serde_json::from_str(&text)?)
}
