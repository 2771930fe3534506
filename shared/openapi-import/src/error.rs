//! The errors of an import.

use toolweaver_contracts::Fault;

const FORMS: &str = "give an OpenAPI 3.0 or 3.1 document, as JSON or YAML";
const VERSIONS: &str = "give an OpenAPI 3.0 or 3.1 document";
const CONVERT: &str = "convert it to OpenAPI 3 first, for example with swagger2openapi";
const OPERATIONS: &str =
    "give a document with `paths`; webhooks and callbacks cannot be called, so they are no tools";

/// A document that cannot be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The document begins as JSON does, and is not JSON.
    #[error("the document is not JSON")]
    Json(#[source] serde_json::Error),
    /// The document is neither JSON nor YAML.
    #[error("the document is not YAML")]
    Yaml(#[source] serde_yaml_ng::Error),
    /// The document names no version of OpenAPI.
    #[error("missing field `openapi`")]
    NoVersion,
    /// The document is of another version than 3.
    #[error("OpenAPI {version} is not supported")]
    Version {
        /// The value of its field `openapi`.
        version: String,
    },
    /// The document is of version 2, which has another form.
    #[error("this is a Swagger 2.0 document")]
    Swagger,
    /// The document has no operation under `paths`.
    #[error("the document has no operations")]
    NoOperations,
}

impl ImportError {
    /// Returns the JSON pointer to the faulty place of the document; empty for the whole document.
    pub const fn pointer(&self) -> &'static str {
        match self {
            Self::Json(_) | Self::Yaml(_) => "",
            Self::NoVersion | Self::Version { .. } => "/openapi",
            Self::Swagger => "/swagger",
            Self::NoOperations => "/paths",
        }
    }

    /// Returns the advice for whoever gave the document.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Json(_) | Self::Yaml(_) => FORMS,
            Self::NoVersion | Self::Version { .. } => VERSIONS,
            Self::Swagger => CONVERT,
            Self::NoOperations => OPERATIONS,
        }
    }
}

impl From<ImportError> for Fault {
    fn from(error: ImportError) -> Self {
        let message = match &error {
            ImportError::Json(source) => format!("{error}: {source}"),
            ImportError::Yaml(source) => format!("{error}: {source}"),
            _ => error.to_string(),
        };
        Self::bad(error.pointer(), message).hint(error.hint())
    }
}
