//! INDEXED as this service writes it: the state of a tool in it, and putting a newer event in its place.
//!
//! A lower revision never replaces a higher one: every publish names the message it replaces, and the server
//! refuses it if that is not the last one any more.

use std::time::Duration;

use toolweaver_contracts::subjects::{self, INDEXED_STREAM};
use toolweaver_contracts::{IndexedEvent, ToolKey, decode, encode};
use toolweaver_messaging::publish::{LastMessageError, PublishError, last_message};
use toolweaver_messaging::{Nats, Outgoing, publish};

/// Retries of a publish because somebody else was faster. Each time that one's event is looked at, so more
/// than one or two need several workers busy with one tool.
const CONFLICTS_MAX: usize = 8;

/// The stream of what became searchable, for one model.
#[derive(Debug, Clone)]
pub(crate) struct IndexedLog {
    nats: Nats,
    model: String,
    tombstones_live: Duration,
}

/// The state of one tool in INDEXED.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct IndexedState {
    /// Sequence of the message that a newer one would replace; 0 if there is none.
    sequence: u64,
    /// The event; none if there is none, or none that can be read.
    pub(crate) event: Option<IndexedEvent>,
}

/// The order of a revision and the one that INDEXED holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RevisionOrder {
    /// It is newer, or the same seen by another model: it belongs there.
    Newer,
    /// It is there already.
    Same,
    /// A newer one is there.
    Older,
}

/// The reason why INDEXED does not hold an event that it should.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    #[error("cannot publish what was indexed")]
    Publish(#[source] PublishError),
    #[error("cannot look at what another worker published")]
    Read(#[source] LastMessageError),
    #[error("other workers kept publishing the same tool")]
    Conflicts,
}

impl IndexedLog {
    /// Returns the log as one model writes it: its fingerprint goes with every vector, and tombstones expire.
    pub(crate) fn new(nats: Nats, model: String, tombstones_live: Duration) -> Self {
        Self { nats, model, tombstones_live }
    }

    /// Returns the fingerprint that goes with every vector.
    pub(crate) fn model(&self) -> &str {
        &self.model
    }

    /// Reads the state of a tool. It may be a moment old; [`IndexedLog::write`] finds out.
    pub(crate) async fn read(&self, key: &ToolKey) -> Result<IndexedState, LastMessageError> {
        let subject = subjects::indexed(key);
        let Some(message) = last_message(&self.nats, INDEXED_STREAM, &subject).await? else {
            return Ok(IndexedState { sequence: 0, event: None });
        };
        let event = decode(&message.payload)
            .inspect_err(
                |fault| tracing::warn!(subject, %fault, "INDEXED holds what is no event; replacing it"),
            )
            .ok();
        Ok(IndexedState { sequence: message.stream_sequence, event })
    }

    /// Puts `event` in the place of `state`, unless something newer has come there meanwhile.
    pub(crate) async fn write(
        &self,
        key: &ToolKey,
        event: &IndexedEvent,
        state: &IndexedState,
    ) -> Result<RevisionOrder, WriteError> {
        let subject = subjects::indexed(key);
        let payload = bytes::Bytes::from(encode(event));
        let mut sequence = state.sequence;
        for _ in 0..CONFLICTS_MAX {
            let mut message = Outgoing::new(&subject, payload.clone()).expecting_last_sequence(sequence);
            if matches!(event, IndexedEvent::Removed { .. }) {
                message = message.expiring_after(self.tombstones_live);
            }
            match publish(&self.nats, message).await {
                Ok(_) => return Ok(RevisionOrder::Newer),
                Err(PublishError::WrongLastSequence { .. }) => {}
                Err(error) => return Err(WriteError::Publish(error)),
            }
            let state = self.read(key).await.map_err(WriteError::Read)?;
            match state.order_of(event.revision(), &self.model) {
                RevisionOrder::Newer => sequence = state.sequence,
                same_or_older => return Ok(same_or_older),
            }
        }
        Err(WriteError::Conflicts)
    }
}

impl IndexedState {
    /// Returns the order of `revision`, seen by `model`, and the revision held.
    pub(crate) fn order_of(&self, revision: u64, model: &str) -> RevisionOrder {
        let Some(event) = &self.event else { return RevisionOrder::Newer };
        match event.revision().cmp(&revision) {
            std::cmp::Ordering::Less => RevisionOrder::Newer,
            std::cmp::Ordering::Greater => RevisionOrder::Older,
            std::cmp::Ordering::Equal => match event {
                IndexedEvent::Indexed { model: other, .. } if other != model => RevisionOrder::Newer,
                _ => RevisionOrder::Same,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use toolweaver_testkit::sample;

    use super::*;

    fn indexed(revision: u64, model: &str) -> IndexedEvent {
        let (tool, vectors) = (Arc::new(sample::tool()), BTreeMap::new());
        IndexedEvent::Indexed { revision, model: model.to_owned(), tool, vectors }
    }

    fn removed(revision: u64) -> IndexedEvent {
        IndexedEvent::Removed { revision }
    }

    #[test]
    fn newer_wins_and_the_same_is_written_again_only_for_another_model() {
        for (event, revision, standing) in [
            (None, 1, RevisionOrder::Newer),
            (Some(indexed(4, "m")), 5, RevisionOrder::Newer),
            (Some(indexed(5, "m")), 5, RevisionOrder::Same),
            (Some(indexed(5, "other")), 5, RevisionOrder::Newer),
            (Some(indexed(6, "m")), 5, RevisionOrder::Older),
            (Some(indexed(6, "other")), 5, RevisionOrder::Older),
            (Some(removed(4)), 5, RevisionOrder::Newer),
            (Some(removed(5)), 5, RevisionOrder::Same),
            (Some(removed(6)), 5, RevisionOrder::Older),
        ] {
            let state = IndexedState { sequence: 9, event };
            assert_eq!(state.order_of(revision, "m"), standing, "{state:?} {revision}");
        }
    }
}
