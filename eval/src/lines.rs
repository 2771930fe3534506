//! Line reader over the files of a set, plain or compressed, with faults that name file and line.
//!
//! Here does **not** live: what the lines mean.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use flate2::read::MultiGzDecoder;
use toolweaver_contracts::{ErrorCode, Fault};

/// Returns the files of a folder that are named `<stem>*.<ending>` or the same with `.gz`, sorted.
pub(crate) fn matching_files(folder: &Path, stem: &str, ending: &str) -> Result<Vec<PathBuf>, Fault> {
    let (plain, compressed) = (format!(".{ending}"), format!(".{ending}.gz"));
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| unreadable(folder, &error))? {
        let entry = entry.map_err(|error| unreadable(folder, &error))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(stem) && (name.ends_with(&plain) || name.ends_with(&compressed)) {
            files.push(entry.path());
        }
    }
    files.sort_unstable();
    if files.is_empty() {
        let message = format!("there is no {stem}*{plain} in {}, compressed or not", folder.display());
        return Err(Fault::new(ErrorCode::BadRequest, message).hint(
            "a set is a folder with tools.jsonl, queries*.jsonl and qrels*.tsv, each plain or as .gz",
        ));
    }
    Ok(files)
}

/// Calls `take` with every line that is not blank and its number from 1, until one is faulty.
pub(crate) fn for_each_line(
    file: &Path,
    mut take: impl FnMut(u64, &str) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut input = open(file).map_err(|error| unreadable(file, &error))?;
    let mut text = Vec::new();
    for number in 1.. {
        text.clear();
        let count = input.read_until(b'\n', &mut text).map_err(|error| unreadable(file, &error))?;
        if count == 0 {
            break;
        }
        let line = str::from_utf8(&text)
            .map_err(|error| at(file, number, Fault::bad("", format!("the line is not UTF-8: {error}"))))?;
        // Not more: the fields of a table may be empty.
        let line = line.trim_end_matches(['\n', '\r']);
        if !line.trim().is_empty() {
            take(number, line).map_err(|fault| at(file, number, fault))?;
        }
    }
    Ok(())
}

/// Prefixes a fault with its file and line.
fn at(file: &Path, line: u64, fault: Fault) -> Fault {
    let located = Fault::new(fault.code, format!("{}:{line}: {}", file.display(), fault.message));
    Fault { pointer: fault.pointer, hint: fault.hint, ..located }
}

fn open(file: &Path) -> io::Result<BufReader<Box<dyn Read>>> {
    let plain = File::open(file)?;
    let is_compressed = file.extension().is_some_and(|extension| extension == "gz");
    let read: Box<dyn Read> =
        if is_compressed { Box::new(MultiGzDecoder::new(BufReader::new(plain))) } else { Box::new(plain) };
    Ok(BufReader::with_capacity(1 << 16, read))
}

fn unreadable(path: &Path, error: &io::Error) -> Fault {
    Fault::new(ErrorCode::BadRequest, format!("cannot read {}: {error}", path.display()))
}
