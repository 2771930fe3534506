//! Input of a registration: a JSON object, a JSON array or JSON Lines, each tool checked as the workers do.
//!
//! Here does **not** live: publishing them.

use std::{
    io::{self, BufRead},
    ops::ControlFlow,
};

use bytes::Bytes;
use serde_json::{Map, Value, value::RawValue};
use toolweaver_contracts::{Domain, Fault, Tenant, Tool, ToolEvent, ToolKey, decode, encode, subjects};

/// Tenant of the tools, and the domain of those that name none.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    pub(crate) tenant: Tenant,
    pub(crate) domain: Domain,
}

/// One tool of the input, well-formed or not.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Line of the file, or number of the operation; from 1.
    pub(crate) line: u64,
    /// Amount of input read so far, in the unit of the progress bar.
    pub(crate) position: u64,
    pub(crate) tool: Result<Prepared, BadTool>,
}

/// Registration that is ready to be published.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) key: ToolKey,
    pub(crate) event: Bytes,
}

/// Tool that the workers would reject.
#[derive(Debug)]
pub(crate) struct BadTool {
    /// Name of the tool, where it has one.
    pub(crate) name: Option<String>,
    pub(crate) fault: Fault,
}

/// Reads all tools and emits them one by one, until `emit` breaks. Positions are bytes.
pub(crate) fn read(
    input: impl BufRead,
    scope: &Scope,
    mut emit: impl FnMut(Entry) -> ControlFlow<()>,
) -> io::Result<()> {
    let mut lines = Lines { input, line: 0, bytes: 0 };
    let mut text = Vec::new();
    // The first content tells the form: a list, a tool over several lines, or one tool a line.
    if !lines.next(&mut text)? {
        return Ok(());
    }
    if text.trim_ascii_start().starts_with(b"[") || is_unfinished(&text) {
        let first_line = lines.line;
        lines.input.read_to_end(&mut text)?;
        document(&text, first_line, scope, &mut emit);
        return Ok(());
    }
    loop {
        let tool = prepare_text(text.trim_ascii(), scope);
        if emit(Entry { line: lines.line, position: lines.bytes, tool }).is_break()
            || !lines.next(&mut text)?
        {
            return Ok(());
        }
    }
}

/// Checks a tool that was made in this process.
pub(crate) fn prepare(tool: Tool, tenant: &Tenant) -> Result<Prepared, BadTool> {
    let key =
        ToolKey { tenant: tenant.clone(), domain: tool.domain.clone(), tool_name: tool.tool_name.clone() };
    checked(key, encode(&ToolEvent::Registered { tool: Box::new(tool) }))
}

/// Lines that are not blank.
struct Lines<R> {
    input: R,
    line: u64,
    bytes: u64,
}

impl<R: BufRead> Lines<R> {
    /// Reads the next one in place of the last; false at the end.
    fn next(&mut self, text: &mut Vec<u8>) -> io::Result<bool> {
        loop {
            text.clear();
            let count = self.input.read_until(b'\n', text)?;
            self.line += 1;
            self.bytes += count as u64;
            if count == 0 || !text.trim_ascii().is_empty() {
                return Ok(count > 0);
            }
        }
    }
}

/// Returns whether a text is JSON that ends too early.
fn is_unfinished(text: &[u8]) -> bool {
    serde_json::from_slice::<&RawValue>(text).is_err_and(|error| error.is_eof())
}

/// Reads a list, or tools over several lines each. Nothing behind broken JSON can be read.
fn document(text: &[u8], first_line: u64, scope: &Scope, emit: &mut impl FnMut(Entry) -> ControlFlow<()>) {
    let position = text.len() as u64;
    let mut line = first_line;
    let mut counted = 0;
    let mut hand_over = |raw: &RawValue| {
        let start = raw.get().as_ptr().addr() - text.as_ptr().addr();
        line += newlines(&text[counted..start]);
        counted = start;
        emit(Entry { line, position: start as u64, tool: prepare_text(raw.get().as_bytes(), scope) })
    };
    let outcome = if text.trim_ascii_start().starts_with(b"[") {
        serde_json::from_slice::<Vec<&RawValue>>(text)
            .map(|raws| raws.into_iter().try_for_each(&mut hand_over))
    } else {
        let mut raws = serde_json::Deserializer::from_slice(text).into_iter::<&RawValue>();
        raws.try_fold(ControlFlow::Continue(()), |flow, raw| match flow {
            ControlFlow::Continue(()) => raw.map(&mut hand_over),
            ControlFlow::Break(()) => Ok(flow),
        })
    };
    if let Err(error) = outcome {
        let line = first_line + (error.line() as u64).saturating_sub(1);
        let fault = Fault::bad("", format!("the input is not JSON: {error}")).hint(FORM);
        // Nothing is left to be read, so it does not matter what the receiver says.
        let _ = emit(Entry { line, position, tool: Err(BadTool { name: None, fault }) });
    }
}

const FORM: &str = "give one tool as a JSON object, a JSON array of tools, or one tool a line";

fn newlines(text: &[u8]) -> u64 {
    text.split(|&byte| byte == b'\n').count() as u64 - 1
}

fn prepare_text(text: &[u8], scope: &Scope) -> Result<Prepared, BadTool> {
    let nameless = |fault| BadTool { name: None, fault };
    let Value::Object(mut tool) = decode(text).map_err(nameless)? else {
        return Err(nameless(Fault::bad("", "a tool must be a JSON object").hint(FORM)));
    };
    tool.entry("domain").or_insert_with(|| scope.domain.as_str().into());
    let name = tool.get("tool_name").and_then(Value::as_str).map(str::to_owned);
    let key = key_of(&tool, scope).map_err(|fault| BadTool { name, fault })?;
    checked(key, encode(&serde_json::json!({ "event": "registered", "tool": tool })))
}

fn key_of(tool: &Map<String, Value>, scope: &Scope) -> Result<ToolKey, Fault> {
    let text = |field: &str| match tool.get(field) {
        Some(Value::String(text)) => Ok(text.as_str()),
        Some(_) => Err(Fault::bad(format!("/{field}"), format!("{field} must be a string"))),
        None => Err(Fault::bad(format!("/{field}"), format!("missing field `{field}`"))),
    };
    let tool_name = text("tool_name")?.parse().map_err(|error| bad("/tool_name", &error))?;
    let domain = text("domain")?.parse().map_err(|error| bad("/domain", &error))?;
    Ok(ToolKey { tenant: scope.tenant.clone(), domain, tool_name })
}

fn bad(pointer: &str, error: &toolweaver_contracts::NameError) -> Fault {
    Fault::bad(pointer, error.to_string())
}

/// Returns the registration, if the workers would take it: what they reject needs no way through the log.
fn checked(key: ToolKey, event: Vec<u8>) -> Result<Prepared, BadTool> {
    match ToolEvent::decode(&subjects::tools(&key), &event) {
        Ok(_) => Ok(Prepared { key, event: event.into() }),
        Err(mut fault) => {
            // The workers see the event around the tool; the reader of this fault sees the tool.
            fault.pointer = fault.pointer.map(|pointer| match pointer.strip_prefix("/tool") {
                Some(inside) => inside.to_owned(),
                None => pointer,
            });
            Err(BadTool { name: Some(key.tool_name.to_string()), fault })
        }
    }
}

#[cfg(test)]
mod tests;
