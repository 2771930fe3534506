//! Settled events: whether everything that was published to TOOLS up to a revision has become searchable or
//! was rejected.
//!
//! A revision may never appear in INDEXED, because a newer one of the same tool replaced it or because it was
//! rejected. Once the indexing consumer has acknowledged everything up to it, INDEXED holds all that became
//! of it.

use toolweaver_contracts::subjects::{INDEXED_STREAM, TOOLS_STREAM};

use crate::Nats;
use crate::consumer::{self, ConsumerError};
use crate::streams::{self, EnsureError};

/// Progress of the indexing consumer towards a revision of TOOLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// Every event up to the revision is settled.
    AtVersion(
        /// Version of INDEXED that holds all that became of them.
        u64,
    ),
    /// Some are not.
    NotYet {
        /// Number of events in TOOLS that are not settled, whatever their revision.
        unsettled: u64,
    },
}

/// Error of asking whether a revision is settled.
#[derive(Debug, thiserror::Error)]
pub enum SettledError {
    /// The consumer could not be read.
    #[error(transparent)]
    Consumer(#[from] ConsumerError),
    /// A stream could not be read.
    #[error(transparent)]
    Stream(#[from] EnsureError),
}

/// Returns whether every event in TOOLS up to `revision` is settled for the durable consumer that indexes.
pub async fn settled(nats: &Nats, indexing_consumer: &str, revision: u64) -> Result<Settled, SettledError> {
    let lag = consumer::lag(nats, TOOLS_STREAM, indexing_consumer).await?;
    let unsettled = lag.pending + lag.ack_pending;
    // A consumer that has nothing to do says nothing about a revision that TOOLS does not hold yet. And one
    // whose last message was replaced has nothing to do, while its acknowledgements end below the revision.
    let is_settled = lag.ack_floor_stream_sequence >= revision
        || (unsettled == 0 && streams::state(nats, TOOLS_STREAM).await?.last_sequence >= revision);
    if !is_settled {
        return Ok(Settled::NotYet { unsettled });
    }
    // Read after the lag: what is acknowledged was published to INDEXED before.
    Ok(Settled::AtVersion(streams::state(nats, INDEXED_STREAM).await?.last_sequence))
}
