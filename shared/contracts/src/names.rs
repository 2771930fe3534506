//! Names that are valid once they exist: tenant, domain, tool name, and the identity made of the three.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::limits::{SCOPE_BYTES_MAX, TOOL_NAME_BYTES_MAX};

/// The reason why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text is empty or blank.
    #[error("{what} must not be empty")]
    Empty {
        /// Which kind of name.
        what: &'static str,
    },
    /// The text is over the limit.
    #[error("{what} is {bytes} bytes long, at most {bytes_max} are allowed")]
    TooLong {
        /// Which kind of name.
        what: &'static str,
        /// Its length in bytes.
        bytes: usize,
        /// The limit in bytes.
        bytes_max: usize,
    },
    /// The text holds a character that the name may not hold.
    #[error("{what} holds {found:?}, allowed are {allowed}")]
    Character {
        /// Which kind of name.
        what: &'static str,
        /// The first such character.
        found: char,
        /// The rule, in words.
        allowed: &'static str,
    },
    /// A tool id has no dot between domain and tool name.
    #[error("tool id {0:?} is not written domain.tool_name")]
    NoDomain(String),
}

/// Makes a string newtype whose only way in is a checked one.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $check:ident, $schema:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Returns the name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                $check(&text)?;
                Ok(Self(text))
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                text.to_owned().try_into()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

name!(
    /// The owner of a catalog: `[a-z0-9_-]{1,64}`. Nothing is ever shared between tenants.
    Tenant,
    check_tenant,
    scope_schema("Who owns a catalog.")
);

name!(
    /// A shard of a tenant's catalog: `[a-z0-9_-]{1,64}`.
    Domain,
    check_domain,
    scope_schema("A shard of a tenant's catalog.")
);

name!(
    /// The name of a tool within its domain: 1 to 256 bytes of UTF-8, not blank, no control characters.
    ToolName,
    check_tool_name,
    json_schema!({
        "type": "string",
        "description": "The name of a tool within its domain: 1 to 256 bytes of UTF-8, not blank, no control characters.",
        "minLength": 1,
        "maxLength": TOOL_NAME_BYTES_MAX,
        // Spelled out: what `\s` means differs between regular expressions and Rust.
        "pattern": "[^ \\u00A0\\u1680\\u2000-\\u200A\\u2028\\u2029\\u202F\\u205F\\u3000]",
        "not": { "pattern": "[\\u0000-\\u001F\\u007F-\\u009F]" }
    })
);

impl Default for Tenant {
    /// Returns `default`.
    fn default() -> Self {
        Self("default".to_owned())
    }
}

impl Default for Domain {
    /// Returns `general`.
    fn default() -> Self {
        Self("general".to_owned())
    }
}

fn scope_schema(description: &str) -> Schema {
    json_schema!({ "type": "string", "description": description, "pattern": "^[a-z0-9_-]{1,64}$" })
}

fn check_tenant(text: &str) -> Result<(), NameError> {
    check_scope("tenant", text)
}

fn check_domain(text: &str) -> Result<(), NameError> {
    check_scope("domain", text)
}

fn check_scope(what: &'static str, text: &str) -> Result<(), NameError> {
    check_length(what, text, SCOPE_BYTES_MAX)?;
    let allowed = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '_' | '-');
    check_characters(what, text, allowed, "a-z, 0-9, _ and -")
}

fn check_tool_name(text: &str) -> Result<(), NameError> {
    check_length("tool_name", text, TOOL_NAME_BYTES_MAX)?;
    check_characters("tool_name", text, |c| !c.is_control(), "all characters but control characters")
}

fn check_length(what: &'static str, text: &str, bytes_max: usize) -> Result<(), NameError> {
    if text.trim().is_empty() {
        return Err(NameError::Empty { what });
    }
    if text.len() > bytes_max {
        return Err(NameError::TooLong { what, bytes: text.len(), bytes_max });
    }
    Ok(())
}

fn check_characters(
    what: &'static str,
    text: &str,
    is_allowed: impl Fn(char) -> bool,
    allowed: &'static str,
) -> Result<(), NameError> {
    text.chars()
        .find(|&c| !is_allowed(c))
        .map_or(Ok(()), |found| Err(NameError::Character { what, found, allowed }))
}

/// A tool within a tenant, written `domain.tool_name`. A domain holds no dot, so the first dot ends it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ToolId {
    /// The domain.
    pub domain: Domain,
    /// The name within the domain.
    pub tool_name: ToolName,
}

impl FromStr for ToolId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (domain, tool_name) = text.split_once('.').ok_or_else(|| NameError::NoDomain(text.to_owned()))?;
        Ok(Self { domain: domain.parse()?, tool_name: tool_name.parse()? })
    }
}

impl TryFrom<String> for ToolId {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<ToolId> for String {
    fn from(id: ToolId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for ToolId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.domain, self.tool_name)
    }
}

impl JsonSchema for ToolId {
    fn schema_name() -> Cow<'static, str> {
        "ToolId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A tool within a tenant, written domain.tool_name.",
            "pattern": "^[a-z0-9_-]{1,64}\\.",
            "examples": ["github.create_pull_request"]
        })
    }
}

/// The identity of a tool. Everything about a tool, in every store, hangs on it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ToolKey {
    /// The owner of the tool.
    pub tenant: Tenant,
    /// Its shard.
    pub domain: Domain,
    /// Its name.
    pub tool_name: ToolName,
}

impl ToolKey {
    /// Returns the point id in vector stores: `UUIDv5` (RFC 9562) of `tenant/domain/tool_name` in our own
    /// namespace.
    ///
    /// Tenant and domain hold no slash, so that two keys never share a text.
    pub fn point_id(&self) -> Uuid {
        /// Drawn once; changing it would orphan every stored point.
        const NAMESPACE: Uuid = Uuid::from_u128(0x0f3c_7a3e_5d5a_5c0e_9a52_7c1b_54a1_7e02);
        Uuid::new_v5(&NAMESPACE, self.to_string().as_bytes())
    }

    /// Returns the tool's name within its tenant.
    pub fn tool_id(&self) -> ToolId {
        ToolId { domain: self.domain.clone(), tool_name: self.tool_name.clone() }
    }
}

impl fmt::Display for ToolKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.tenant, self.domain, self.tool_name)
    }
}
