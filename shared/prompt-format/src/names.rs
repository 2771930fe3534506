//! Vendor names of tools and arguments, where few characters are allowed.
//!
//! A name depends on the tool alone, never on what else is in the reply: an agent asks for references now and
//! for the definitions later, and must find the one by the other. So it has to hold the domain, since two
//! domains may each have a tool of the same name.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};
use toolweaver_contracts::{Domain, Tool, ToolId};

/// Hexadecimal digits of the hash behind a name that could not be kept: 40 bits.
const HASH_CHARS: usize = 10;
/// Longest name of an argument.
const ARGUMENT_CHARS_MAX: usize = 64;

/// Naming rules of a vendor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// Stands for the dot of a tool id.
    dot: &'static str,
    chars_max: usize,
}

/// Anthropic and `OpenAI`: `^[a-zA-Z0-9_-]{1,64}$`. Anthropic publishes 128 characters by now, where it used
/// to say 64; keeping to 64, both vendors know a tool by the same name.
pub(super) const FUNCTION: Rules = Rules { dot: "__", chars_max: 64 };

/// The Model Context Protocol since 2025-11-25: `[A-Za-z0-9_.-]{1,128}`.
pub(super) const MCP: Rules = Rules { dot: ".", chars_max: 128 };

/// Returns the name of a tool: its id, `domain.tool_name`, with each dot written as the rules say and each
/// slash as `--`. A tool of the default domain whose name holds no dot goes by its name alone.
///
/// Where the id could not be read back from that, because of other characters, its length or an ambiguity,
/// what is not allowed becomes `_` and a hash of the id stands behind: no two tools share a name.
pub(super) fn of_tool(tool: &Tool, rules: Rules) -> String {
    let id = ToolId { domain: tool.domain.clone(), tool_name: tool.tool_name.clone() }.to_string();
    let is_plain = tool.domain == Domain::default() && !tool.tool_name.as_str().contains('.');
    let short_id = if is_plain { tool.tool_name.as_str() } else { &id };
    let name = short_id.replace('.', rules.dot).replace('/', "--");
    let is_readable = name.replace("--", "/").replace(rules.dot, ".") == short_id;
    let is_allowed = name.len() <= rules.chars_max && name.chars().all(|c| rules.allows(c));
    if is_readable && is_allowed && !ends_in_hash(&name) {
        return name;
    }
    hashed(&kept(&name, |c| rules.allows(c)), &id, rules.chars_max)
}

/// Returns the names of a tool's arguments for Anthropic, `^[a-zA-Z0-9_.-]{1,64}$`, in the order given: as
/// they are called, or with `_` for what is not allowed, and a hash behind where that alone is too long or
/// not unique.
pub(super) fn of_arguments(names: &[&str]) -> Vec<String> {
    let allows = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let fits = |name: &str| (1..=ARGUMENT_CHARS_MAX).contains(&name.len()) && name.chars().all(allows);
    let mut taken: BTreeSet<String> =
        names.iter().filter(|name| fits(name)).map(|name| (*name).to_owned()).collect();
    let given = names.iter().map(|name| {
        if fits(name) {
            return (*name).to_owned();
        }
        let stem = kept(name, allows);
        let new = if fits(&stem) && !taken.contains(&stem) {
            stem
        } else {
            hashed(&stem, name, ARGUMENT_CHARS_MAX)
        };
        taken.insert(new.clone());
        new
    });
    given.collect()
}

impl Rules {
    fn allows(self, c: char) -> bool {
        c.is_ascii_alphanumeric() || matches!(c, '_' | '-') || (c == '.' && self.dot == ".")
    }
}

/// Returns the characters that are allowed, with one `_` for each run of others.
fn kept(text: &str, allows: impl Fn(char) -> bool) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut is_in_run = false;
    for c in text.chars() {
        let is_allowed = allows(c);
        if is_allowed {
            kept.push(c);
        } else if !is_in_run {
            kept.push('_');
        }
        is_in_run = !is_allowed;
    }
    kept
}

/// Returns as much of an ASCII text as there is room for, and the hash of what it stands for.
fn hashed(stem: &str, stands_for: &str, chars_max: usize) -> String {
    let room = chars_max - HASH_CHARS - 1;
    let mut hash = format!("{:x}", Sha256::digest(stands_for.as_bytes()));
    hash.truncate(HASH_CHARS);
    format!("{}_{hash}", stem[..stem.len().min(room)].trim_end_matches(['_', '.']))
}

/// Tells whether a name could be taken for one with a hash behind.
fn ends_in_hash(name: &str) -> bool {
    name.rsplit_once('_').is_some_and(|(_, end)| {
        end.len() == HASH_CHARS && end.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    })
}
