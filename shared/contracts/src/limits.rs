//! The limits of the wire, in one place. Each is stated in the JSON Schema or checked with a
//! [`Fault`](crate::Fault).

/// Largest body of a tool event, in bytes.
pub const EVENT_BYTES_MAX: usize = 256 * 1024;
/// Longest tool name, in bytes of UTF-8.
pub const TOOL_NAME_BYTES_MAX: usize = 256;
/// Longest tenant or domain, in bytes.
pub const SCOPE_BYTES_MAX: usize = 64;
/// Longest description, in bytes of UTF-8.
pub const DESCRIPTION_BYTES_MAX: usize = 16 * 1024;
/// Deepest nesting of `parameters`; the object itself is depth 1.
pub const PARAMETERS_DEPTH_MAX: usize = 32;
/// Most entries in each of `tags`, `examples` and `allowed_roles`.
pub const LIST_ENTRIES_MAX: usize = 128;
/// Longest entry of `tags` and `allowed_roles`, and longest `version`, `publisher` and `last_updated`, in
/// bytes.
pub const LABEL_BYTES_MAX: usize = 256;
/// Longest entry of `examples`, in bytes of UTF-8.
pub const EXAMPLE_BYTES_MAX: usize = 2 * 1024;
/// Longest query, in bytes of UTF-8.
pub const QUERY_BYTES_MAX: usize = 8 * 1024;
/// Most results one search may ask for.
pub const TOP_K_MAX: u32 = 100;
/// Results of a search that does not say how many.
pub const TOP_K_DEFAULT: u32 = 10;
/// Most tokens a search may be asked to fill.
pub const BUDGET_TOKENS_MAX: u32 = 1_000_000;
/// Longest time a search may wait for a version, in milliseconds.
pub const WAIT_MS_MAX: u64 = 30_000;
/// Most tool ids in `exclude`.
pub const EXCLUDE_ENTRIES_MAX: usize = 1_000;
/// Longest message of a fault, in bytes; what was wrong is quoted, and a publisher may have sent much of it.
pub const FAULT_MESSAGE_BYTES_MAX: usize = 1024;
/// Bytes of a rejected event that REJECTED keeps at most.
pub const REJECTED_ORIGINAL_BYTES_MAX: usize = EVENT_BYTES_MAX;
