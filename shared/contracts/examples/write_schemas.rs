//! Writes the JSON Schemas from the types into a folder; `cargo xtask schemas` runs it for `schemas/`.

use std::{fs, path::PathBuf};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| "schemas".to_owned()));
    fs::create_dir_all(&folder)?;
    for (name, schema) in toolweaver_contracts::schema::documents() {
        let mut text = serde_json::to_string_pretty(&schema)?;
        text.push('\n');
        fs::write(folder.join(format!("{name}.json")), text)?;
    }
    Ok(())
}
