//! Real tools from a file or from `OpenAPI` documents, and queries made from their own words.

use std::{
    collections::HashSet,
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail, ensure};
use flate2::read::GzDecoder;
use rand::{SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use toolweaver_contracts::Tool;

use crate::arguments::SourceArguments;

/// Length of a query, in words of a description.
const QUERY_WORDS_MAX: usize = 9;
/// Shortest description that makes a query.
const QUERY_WORDS_MIN: usize = 3;

/// Reads at least `count_min` tools: JSON Lines (plain or .gz), or a folder of `OpenAPI` documents, which the
/// `toolweaver` program converts.
pub(crate) fn load(source: &SourceArguments, count_min: usize) -> anyhow::Result<Vec<Tool>> {
    let (source, programs) = (&source.tools, &source.programs);
    let tools = if source.is_dir() {
        from_documents(source, &programs.bin_dir.join("toolweaver"), count_min)?
    } else {
        from_lines(open(source)?)?
    };
    ensure!(
        tools.len() >= count_min,
        "{} holds {} tools, {count_min} are needed",
        source.display(),
        tools.len()
    );
    Ok(tools)
}

/// Returns as many distinct queries as the tools' descriptions give, in an order that depends on the tools
/// alone.
pub(crate) fn queries(tools: &[Tool]) -> Vec<String> {
    let mut queries: Vec<String> =
        tools.iter().filter_map(query).collect::<HashSet<_>>().into_iter().collect();
    queries.sort_unstable();
    queries.shuffle(&mut StdRng::seed_from_u64(1));
    queries
}

/// Returns the query of somebody who looks for this tool: the beginning of its description.
pub(crate) fn query(tool: &Tool) -> Option<String> {
    let words: Vec<&str> = tool.description.split_whitespace().take(QUERY_WORDS_MAX).collect();
    (words.len() >= QUERY_WORDS_MIN).then(|| words.join(" "))
}

fn open(file: &Path) -> anyhow::Result<Box<dyn Read>> {
    let plain = File::open(file).with_context(|| format!("cannot open {}", file.display()))?;
    let is_compressed = file.extension().is_some_and(|extension| extension == "gz");
    Ok(if is_compressed { Box::new(GzDecoder::new(plain)) } else { Box::new(plain) })
}

fn from_lines(lines: impl Read) -> anyhow::Result<Vec<Tool>> {
    let mut tools = Vec::new();
    for (number, line) in (1..).zip(BufReader::new(lines).lines()) {
        let line = line?;
        if !line.trim().is_empty() {
            tools.push(serde_json::from_str(&line).with_context(|| format!("line {number} is not a tool"))?);
        }
    }
    Ok(tools)
}

/// Converts documents, in the order of their paths, until there are enough tools. One that cannot be
/// converted is named and skipped: a directory of thousands always has some.
fn from_documents(folder: &Path, toolweaver: &Path, count_min: usize) -> anyhow::Result<Vec<Tool>> {
    let mut documents = Vec::new();
    collect(folder, &mut documents)?;
    documents.sort_unstable();
    let mut tools = Vec::new();
    for document in documents {
        if tools.len() >= count_min {
            break;
        }
        match convert(&document, toolweaver) {
            Ok(more) => tools.extend(more),
            Err(error) => eprintln!("skipped {}: {error:#}", document.display()),
        }
    }
    Ok(tools)
}

fn collect(folder: &Path, documents: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in folder.read_dir().with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, documents)?;
        } else if path.extension().is_some_and(|extension| extension == "json" || extension == "yaml") {
            documents.push(path);
        }
    }
    Ok(())
}

fn convert(document: &Path, toolweaver: &Path) -> anyhow::Result<Vec<Tool>> {
    let stem = document.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_lowercase();
    let domain: String =
        stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(64).collect();
    let output = Command::new(toolweaver)
        .args(["import", "openapi", "--dry-run", "--domain", &domain])
        .arg(document)
        .output()
        .with_context(|| format!("cannot run {}", toolweaver.display()))?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    from_lines(output.stdout.as_slice())
}
