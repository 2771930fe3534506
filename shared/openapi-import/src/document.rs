//! Resolution of `$ref` within a document. Only its own: files and addresses are not fetched.

use serde_json::Value;

/// Longest chain of references that is followed; a longer one is taken for a cycle.
const HOPS_MAX: usize = 16;

/// A document whose local references can be followed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Document<'a> {
    root: &'a Value,
}

impl<'a> Document<'a> {
    pub(crate) fn new(root: &'a Value) -> Self {
        Self { root }
    }

    /// Resolves a value: itself, or the target of its `$ref`. A reference that leads nowhere stays as it is.
    pub(crate) fn follow(self, value: &'a Value) -> &'a Value {
        let mut value = value;
        for _ in 0..HOPS_MAX {
            match value.get("$ref").and_then(Value::as_str).and_then(|reference| self.target(reference)) {
                Some(target) => value = target,
                None => break,
            }
        }
        value
    }

    /// Returns the target of a reference, one hop.
    pub(crate) fn target(self, reference: &str) -> Option<&'a Value> {
        let fragment = reference.strip_prefix('#')?;
        if fragment.contains('%') {
            let decoded = percent_decode(fragment)?;
            return self.root.pointer(&decoded);
        }
        self.root.pointer(fragment)
    }
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        if byte == b'%' {
            let (digits, tail) = tail.split_at_checked(2)?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = tail;
        } else {
            bytes.push(byte);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}
