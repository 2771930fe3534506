//! Reading tools: one JSON object, a JSON array, or JSON Lines, each tool checked as the workers will check it.
//!
//! Here does **not** live: publishing them.

use std::{
    io::{self, BufRead},
    ops::ControlFlow,
};

use bytes::Bytes;
use serde_json::{Map, Value, value::RawValue};
use toolweaver_contracts::{Domain, Fault, Tenant, Tool, ToolEvent, ToolKey, decode, encode, subjects};

/// Whose tools they are when they do not say so themselves.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    pub(crate) tenant: Tenant,
    pub(crate) domain: Domain,
}

/// What stood at one place of the input.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Line of the file, or number of the operation; from 1.
    pub(crate) line: u64,
    /// How much of the input has been read, in the unit of the progress bar.
    pub(crate) position: u64,
    pub(crate) tool: Result<Prepared, BadTool>,
}

/// A registration, ready to be published.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) key: ToolKey,
    pub(crate) event: Bytes,
}

/// A tool that would be rejected.
#[derive(Debug)]
pub(crate) struct BadTool {
    /// Its name, where it has one.
    pub(crate) name: Option<String>,
    pub(crate) fault: Fault,
}

/// Reads all tools and hands them over one by one, until `emit` says stop. Positions are bytes.
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

/// Checks a tool that is made, not read.
pub(crate) fn prepare(tool: Tool, tenant: &Tenant) -> Result<Prepared, BadTool> {
    let key =
        ToolKey { tenant: tenant.clone(), domain: tool.domain.clone(), tool_name: tool.tool_name.clone() };
    checked(key, encode(&ToolEvent::Registered { tool: Box::new(tool) }))
}

/// The lines that hold something.
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

/// Whether a text is the beginning of JSON that goes on behind it.
fn is_unfinished(text: &[u8]) -> bool {
    serde_json::from_slice::<&RawValue>(text).is_err_and(|error| error.is_eof())
}

/// A list, or tools over several lines each. What follows broken JSON cannot be read.
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

/// The registration, if the workers would take it: what they would reject needs no way through the log.
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
mod tests {
    use super::*;

    type Seen = Vec<(u64, Result<String, (Option<String>, String)>)>;

    fn seen(text: &[u8]) -> Seen {
        let scope = Scope { tenant: Tenant::default(), domain: "shop".parse().unwrap() };
        let mut seen = Vec::new();
        read(text, &scope, |entry| {
            let tool = entry
                .tool
                .map(|prepared| prepared.key.tool_id().to_string())
                .map_err(|bad| (bad.name, bad.fault.pointer.unwrap_or_default()));
            seen.push((entry.line, tool));
            ControlFlow::Continue(())
        })
        .unwrap();
        seen
    }

    fn good(line: u64, id: &str) -> (u64, Result<String, (Option<String>, String)>) {
        (line, Ok(id.to_owned()))
    }

    fn faulty(
        line: u64,
        name: Option<&str>,
        pointer: &str,
    ) -> (u64, Result<String, (Option<String>, String)>) {
        (line, Err((name.map(str::to_owned), pointer.to_owned())))
    }

    #[test]
    fn reads_each_form_with_the_line_of_each_tool() {
        let lines = b"\n{\"tool_name\":\"a\"}\n\n  {\"tool_name\":\"b\",\"domain\":\"x\"}\n";
        assert_eq!(seen(lines), [good(2, "shop.a"), good(4, "x.b")]);
        let list = b"[\n {\"tool_name\":\"a\"},\n {\"tool_name\":\n\"b\"}, {\"tool_name\":\"c\"}]";
        assert_eq!(seen(list), [good(2, "shop.a"), good(3, "shop.b"), good(4, "shop.c")]);
        let pretty = b"\n{\n  \"tool_name\": \"a\"\n}\n{\n \"tool_name\": \"b\" }\n";
        assert_eq!(seen(pretty), [good(2, "shop.a"), good(5, "shop.b")]);
        assert_eq!(seen(b"{\"tool_name\":\"a\"}"), [good(1, "shop.a")]);
        assert_eq!(seen(b" \n"), []);
        assert_eq!(seen(b"[]"), []);
    }

    #[test]
    fn a_bad_tool_is_told_with_its_place_and_stops_nobody() {
        let text = "{\"tool_name\":\"a\"}\n\
            {\"tool_name\":\"b\",\"parameters\":[]}\n\
            {\"tool_name\":7}\n\
            {\"domain\":\"Not Good\",\"tool_name\":\"c\"}\n\
            {\"description\":\"nameless\"}\n\
            nonsense\n\
            [1]\n\
            {\"tool_name\":\"d\",\"tags\":[\"\"]}\n\
            {\"tool_name\":\"e\"}\n";
        assert_eq!(
            seen(text.as_bytes()),
            [
                good(1, "shop.a"),
                faulty(2, Some("b"), "/parameters"),
                faulty(3, None, "/tool_name"),
                faulty(4, Some("c"), "/domain"),
                faulty(5, None, "/tool_name"),
                faulty(6, None, ""),
                faulty(7, None, ""),
                faulty(8, Some("d"), "/tags/0"),
                good(9, "shop.e"),
            ]
        );
        assert_eq!(
            seen(b"{\"tool_name\":\"\xff\"}\n{\"tool_name\":\"a\"}"),
            [faulty(1, None, ""), good(2, "shop.a")]
        );
    }

    #[test]
    fn broken_json_over_several_lines_is_told_with_its_line() {
        assert_eq!(seen(b"[\n{\"tool_name\":\"a\"},\n{]"), [faulty(3, None, "")]);
        assert_eq!(seen(b"{\n\"tool_name\":\"a\"\n}\n{\n"), [good(1, "shop.a"), faulty(5, None, "")]);
    }

    #[test]
    fn reading_ends_when_the_receiver_says_so() {
        let scope = Scope { tenant: Tenant::default(), domain: Domain::default() };
        for text in [
            &b"{\"tool_name\":\"a\"}\n{\"tool_name\":\"b\"}"[..],
            b"[{\"tool_name\":\"a\"},{\"tool_name\":\"b\"}]",
        ] {
            let mut count = 0;
            read(text, &scope, |_| {
                count += 1;
                ControlFlow::Break(())
            })
            .unwrap();
            assert_eq!(count, 1);
        }
    }
}
