//! Subjects and streams: how they are written and how they are read back.

use std::fmt::Display;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::{Domain, ErrorCode, Fault, NameError, Tenant, ToolKey, ToolName};

/// The stream of what publishers said.
pub const TOOLS_STREAM: &str = "TOOLS";
/// The stream of what became searchable; its sequence is the catalog version.
pub const INDEXED_STREAM: &str = "INDEXED";
/// The stream of what could not be accepted.
pub const REJECTED_STREAM: &str = "REJECTED";

/// The subjects that TOOLS captures.
pub const TOOLS_SUBJECTS: &str = "tools.v1.*.*.*";
/// The subjects that INDEXED captures.
pub const INDEXED_SUBJECTS: &str = "indexed.v1.*.*.*";
/// The subjects that REJECTED captures.
pub const REJECTED_SUBJECTS: &str = "rejected.v1.*.*.*";

/// The subjects of the search endpoint: `search.v1.<tenant>`.
pub const SEARCH_SUBJECTS: &str = "search.v1.*";
/// The subjects of the get endpoint: `get.v1.<tenant>`.
pub const GET_SUBJECTS: &str = "get.v1.*";
/// The subjects of the domains endpoint: `domains.v1.<tenant>`.
pub const DOMAINS_SUBJECTS: &str = "domains.v1.*";
/// The subjects of announced versions, of all tenants: `versions.v1.<tenant>`.
pub const VERSIONS_SUBJECTS: &str = "versions.v1.*";
/// The subject of the status endpoint.
pub const STATUS_SUBJECT: &str = "status.v1";

const TOOLS_PREFIX: &str = "tools.v1.";
const INDEXED_PREFIX: &str = "indexed.v1.";
const REJECTED_PREFIX: &str = "rejected.v1.";

/// A tool name as one token: all but `[A-Za-z0-9_-]` percent-encoded, upper-case hex.
const TOKEN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'-');

const SCOPES: &str = "tenant and domain are [a-z0-9_-]{1,64}";
const ENCODING: &str =
    "percent-encode every byte of the tool name outside A-Z, a-z, 0-9, _ and - with upper-case hex";

/// Returns `tools.v1.<tenant>.<domain>.<tool>`.
pub fn tools(key: &ToolKey) -> String {
    tool_subject(TOOLS_PREFIX, key)
}

/// Returns `indexed.v1.<tenant>.<domain>.<tool>`.
pub fn indexed(key: &ToolKey) -> String {
    tool_subject(INDEXED_PREFIX, key)
}

/// Returns the REJECTED subject for an event published on `subject`, whatever its tokens hold.
pub fn rejected(subject: &str) -> String {
    let rest = subject
        .strip_prefix(TOOLS_PREFIX)
        .or_else(|| subject.strip_prefix(INDEXED_PREFIX))
        .unwrap_or(subject);
    format!("{REJECTED_PREFIX}{rest}")
}

/// Returns `search.v1.<tenant>`.
pub fn search(tenant: &Tenant) -> String {
    format!("search.v1.{tenant}")
}

/// Returns the subject of the owner of a domain: `search.v1.<tenant>.<domain>`.
pub fn search_in_domain(domain: &Domain) -> String {
    format!("search.v1.*.{domain}")
}

/// Returns `get.v1.<tenant>`.
pub fn get(tenant: &Tenant) -> String {
    format!("get.v1.{tenant}")
}

/// Returns `domains.v1.<tenant>`.
pub fn domains(tenant: &Tenant) -> String {
    format!("domains.v1.{tenant}")
}

/// Returns `versions.v1.<tenant>`: where a new catalog version is announced (core NATS, no reply).
pub fn versions(tenant: &Tenant) -> String {
    format!("versions.v1.{tenant}")
}

/// Returns the name of the durable consumer of TOOLS that indexes for a model, by the short form of its
/// fingerprint.
///
/// A new model gets a new consumer, which reads all of TOOLS again; that is how an index is rebuilt.
pub fn embedding_consumer(fingerprint: &str) -> String {
    format!("embedding-worker-{fingerprint}")
}

/// Reads the identity out of a TOOLS subject.
pub fn parse_tools(subject: &str) -> Result<ToolKey, Fault> {
    parse_tool_subject(TOOLS_PREFIX, subject)
}

/// Reads the identity out of an INDEXED subject.
pub fn parse_indexed(subject: &str) -> Result<ToolKey, Fault> {
    parse_tool_subject(INDEXED_PREFIX, subject)
}

/// Reads the tenant out of the subject of a request, such as `search.v1.<tenant>`.
pub fn parse_tenant(subject: &str) -> Result<Tenant, Fault> {
    let token = subject.rsplit('.').next().unwrap_or_default();
    token.parse().map_err(|source: NameError| {
        let (endpoint, _) = subject.rsplit_once('.').unwrap_or_default();
        bad_subject(subject, &source).hint(format!("ask on {endpoint}.<tenant>; {SCOPES}"))
    })
}

/// Returns tenant and domain of `search.v1.<tenant>` or `search.v1.<tenant>.<domain>`.
pub fn parse_search(subject: &str) -> Result<(Tenant, Option<Domain>), Fault> {
    let rest = subject.strip_prefix("search.v1.").unwrap_or_default();
    let (tenant, domain) =
        rest.split_once('.').map_or((rest, None), |(tenant, domain)| (tenant, Some(domain)));
    let parsed = tenant.parse().and_then(|tenant| Ok((tenant, domain.map(str::parse).transpose()?)));
    parsed.map_err(|source: NameError| {
        bad_subject(subject, &source)
            .hint(format!("ask on search.v1.<tenant> or search.v1.<tenant>.<domain>; {SCOPES}"))
    })
}

fn tool_subject(prefix: &str, key: &ToolKey) -> String {
    let token = utf8_percent_encode(key.tool_name.as_str(), TOKEN);
    format!("{prefix}{}.{}.{token}", key.tenant, key.domain)
}

fn parse_tool_subject(prefix: &str, subject: &str) -> Result<ToolKey, Fault> {
    let bad = |reason: &dyn Display| {
        bad_subject(subject, reason)
            .hint(format!("publish on {prefix}<tenant>.<domain>.<tool>; {SCOPES}; {ENCODING}"))
    };
    let rest = subject.strip_prefix(prefix).unwrap_or_default();
    let tokens: Vec<&str> = rest.split('.').collect();
    let [tenant, domain, tool] = tokens[..] else {
        return Err(bad(&format!("it is not {prefix} and three tokens")));
    };
    let tenant: Tenant = tenant.parse().map_err(|source: NameError| bad(&source))?;
    let domain: Domain = domain.parse().map_err(|source: NameError| bad(&source))?;
    let decoded = percent_decode_str(tool)
        .decode_utf8()
        .map_err(|_| bad(&"the tool token does not decode to UTF-8"))?;
    let tool_name: ToolName = decoded.parse().map_err(|source: NameError| bad(&source))?;
    let key = ToolKey { tenant, domain, tool_name };
    let canonical = tool_subject(prefix, &key);
    if canonical == subject {
        Ok(key)
    } else {
        // Two spellings of one name would be two subjects, and the stream keeps one message per subject.
        Err(bad(&"the tool token is not in its one canonical form")
            .hint(format!("publish on {canonical}; {ENCODING}")))
    }
}

fn bad_subject(subject: &str, reason: &dyn Display) -> Fault {
    Fault::new(ErrorCode::BadRequest, format!("subject {subject}: {reason}"))
}
