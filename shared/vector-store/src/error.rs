//! The errors of a vector store, and whether trying again can help.

use std::{error::Error, fmt, sync::Arc, time::Duration};

use ::qdrant_client::QdrantError;
use tonic::Code;
use uuid::Uuid;

/// An operation on a vector store that failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The client could not be made from its configuration.
    #[error("{url:?} is no address of a Qdrant server; it looks like http://127.0.0.1:6334")]
    Address {
        /// The address as configured.
        url: String,
        /// The client's error.
        #[source]
        source: ClientError,
    },
    /// The server refused an operation or could not be reached.
    #[error("{operation} in collection {collection} failed")]
    Request {
        /// The operation that was tried.
        operation: &'static str,
        /// The collection.
        collection: String,
        /// The client's error.
        #[source]
        source: ClientError,
    },
    /// The server did not answer in time.
    #[error("{operation} in collection {collection} was not answered within {timeout:?}")]
    TimedOut {
        /// The operation that was tried.
        operation: &'static str,
        /// The collection.
        collection: String,
        /// The time that we waited.
        timeout: Duration,
    },
    /// The collection is not there: never made, or deleted behind our back.
    #[error("{operation} failed because collection {collection} does not exist")]
    MissingCollection {
        /// The operation that was tried.
        operation: &'static str,
        /// The collection.
        collection: String,
    },
    /// The collection exists with another shape than the model needs.
    #[error(
        "collection {collection} holds {found}, the model needs {expected}; \
         delete the collection, or choose another name with QDRANT_ALIAS"
    )]
    Shape {
        /// The collection.
        collection: String,
        /// The shape that the model needs.
        expected: String,
        /// The shape that the collection has.
        found: String,
    },
    /// A vector has another length than the store's.
    #[error("{operation} refused a vector of {found} dimensions, the store has {expected}")]
    Dimensions {
        /// The operation that was tried.
        operation: &'static str,
        /// Dimensions of the store.
        expected: usize,
        /// Dimensions of the vector.
        found: usize,
    },
    /// A vector holds an infinity or no number at all.
    #[error("{operation} refused a vector with a component that is not finite")]
    NotFinite {
        /// The operation that was tried.
        operation: &'static str,
    },
    /// A stored point cannot be read back as a tool: not written by this version, or by someone else.
    #[error("point {point_id} of collection {collection} cannot be read as a tool: {reason}")]
    Malformed {
        /// The collection.
        collection: String,
        /// The id of the point.
        point_id: String,
        /// The fault in it.
        reason: String,
    },
}

/// Error of the Qdrant client, displayed in one line with each cause once.
#[derive(Debug, Clone)]
pub struct ClientError(Arc<QdrantError>);

impl From<QdrantError> for ClientError {
    fn from(error: QdrantError) -> Self {
        Self(Arc::new(error))
    }
}

impl Error for ClientError {}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let QdrantError::ResponseError { status } = &*self.0 else { return self.0.fmt(f) };
        let words = status.message();
        if let Some((address, causes)) = words.split_once(": tonic::") {
            // Behind the address of a failed connection the client writes the debug form of every cause.
            let root = causes.rsplit_once("message: \"").and_then(|(_, message)| message.split('"').next());
            return write!(f, "{address}: {}", root.unwrap_or("no connection"));
        }
        match status.code() {
            Code::Internal | Code::Unknown => f.write_str(words),
            code => write!(f, "{code:?}: {words}"),
        }
    }
}

impl StoreError {
    /// Returns whether the same call can succeed later without anyone changing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::TimedOut { .. } => true,
            Self::Request { source, .. } => match &*source.0 {
                QdrantError::ResponseError { status } => matches!(
                    status.code(),
                    // The client reports a refused connection as Internal.
                    Code::Internal
                        | Code::Unavailable
                        | Code::DeadlineExceeded
                        | Code::Cancelled
                        | Code::ResourceExhausted
                        | Code::Aborted
                        | Code::Unknown
                ),
                QdrantError::ResourceExhaustedError { .. } | QdrantError::Io(_) => true,
                _ => false,
            },
            _ => false,
        }
    }

    /// Returns whether the written point itself is at fault: it would be refused again, while others may be
    /// stored.
    ///
    /// Of the server's codes that is `InvalidArgument` alone. The others say something about the caller
    /// (`Unauthenticated`, `PermissionDenied`), the collection (`NotFound`, `FailedPrecondition`) or the
    /// server (`Unimplemented`), and so about every point. A collection of another shape answers
    /// `InvalidArgument` too: the store looks, and says [`StoreError::Shape`] instead. What cannot be told
    /// apart is a collection that a limit of Qdrant's strict mode keeps from growing.
    pub fn blames_the_point(&self) -> bool {
        match self {
            Self::Dimensions { .. } | Self::NotFinite { .. } => true,
            Self::Request { source, .. } => matches!(
                &*source.0,
                QdrantError::ResponseError { status } if status.code() == Code::InvalidArgument
            ),
            _ => false,
        }
    }

    /// Puts the client's error into words of ours.
    pub(crate) fn request(operation: &'static str, collection: &str, source: QdrantError) -> Self {
        let collection = collection.to_owned();
        match &source {
            QdrantError::ResponseError { status } if status.code() == Code::NotFound => {
                Self::MissingCollection { operation, collection }
            }
            _ => Self::Request { operation, collection, source: source.into() },
        }
    }

    pub(crate) fn malformed(collection: &str, point_id: Option<Uuid>, reason: impl Into<String>) -> Self {
        Self::Malformed {
            collection: collection.to_owned(),
            point_id: point_id.map_or_else(|| "without UUID".to_owned(), |id| id.to_string()),
            reason: reason.into(),
        }
    }
}

/// Refuses what no store can rank: another length, or components that are not finite.
pub(crate) fn check_vector(operation: &'static str, vector: &[f32], dims: usize) -> Result<(), StoreError> {
    if vector.len() != dims {
        return Err(StoreError::Dimensions { operation, expected: dims, found: vector.len() });
    }
    if vector.iter().any(|x| !x.is_finite()) {
        return Err(StoreError::NotFinite { operation });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tonic::Status;

    use super::{ClientError, QdrantError};

    #[test]
    fn a_cause_is_told_once_and_in_words() {
        let told = |status| ClientError::from(QdrantError::ResponseError { status }).to_string();
        let away = "Failed to connect to http://127.0.0.1:1/: tonic::transport::Error(Transport, ConnectError(\
                    Os { code: 111, kind: ConnectionRefused, message: \"Connection refused\" }))";
        let said = "Failed to connect to http://127.0.0.1:1/: Connection refused";
        assert_eq!(told(Status::internal(away)), said);
        let refused = Status::invalid_argument("Expected some vectors");
        assert_eq!(told(refused), "InvalidArgument: Expected some vectors");
    }
}
