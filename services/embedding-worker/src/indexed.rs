//! INDEXED as this service writes it: what it holds of a tool, and putting a newer event in its place.
//!
//! A lower revision never replaces a higher one: every publish names the message it replaces, and the server
//! refuses it if that is not the last one any more.

use std::time::Duration;

use toolweaver_contracts::subjects::{self, INDEXED_STREAM};
use toolweaver_contracts::{IndexedEvent, ToolKey, decode, encode};
use toolweaver_messaging::publish::{LastMessageError, PublishError, last_message};
use toolweaver_messaging::{Nats, Outgoing, publish};

/// How often a publish is tried again because somebody else was faster. Each time that one's event is looked
/// at, so more than one or two need several workers busy with one tool.
const CONFLICTS_MAX: usize = 8;

/// The stream of what became searchable, for one model.
#[derive(Debug, Clone)]
pub(crate) struct IndexedLog {
    nats: Nats,
    model: String,
    tombstones_live: Duration,
}

/// What INDEXED holds of one tool.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Held {
    /// Sequence of the message that a newer one would replace; 0 if there is none.
    sequence: u64,
    /// The event; none if there is none, or none that can be read.
    pub(crate) event: Option<IndexedEvent>,
}

/// How a revision relates to what INDEXED holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is newer, or the same seen by another model: it belongs there.
    Newer,
    /// It is there already.
    There,
    /// A newer one is there.
    Stale,
}

/// Why INDEXED does not hold an event that it should.
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
    /// `model` is the fingerprint that goes with every vector; tombstones expire after `tombstones_live`.
    pub(crate) fn new(nats: Nats, model: String, tombstones_live: Duration) -> Self {
        Self { nats, model, tombstones_live }
    }

    /// The fingerprint that goes with every vector.
    pub(crate) fn model(&self) -> &str {
        &self.model
    }

    /// What is held of a tool. May be a moment old; [`IndexedLog::write`] finds out.
    pub(crate) async fn read(&self, key: &ToolKey) -> Result<Held, LastMessageError> {
        let subject = subjects::indexed(key);
        let Some(message) = last_message(&self.nats, INDEXED_STREAM, &subject).await? else {
            return Ok(Held { sequence: 0, event: None });
        };
        let event = decode(&message.payload)
            .inspect_err(
                |fault| tracing::warn!(subject, %fault, "INDEXED holds what is no event; replacing it"),
            )
            .ok();
        Ok(Held { sequence: message.stream_sequence, event })
    }

    /// Puts `event` in the place of what is `held`, unless something newer has come there meanwhile.
    pub(crate) async fn write(
        &self,
        key: &ToolKey,
        event: &IndexedEvent,
        held: &Held,
    ) -> Result<Standing, WriteError> {
        let subject = subjects::indexed(key);
        let payload = bytes::Bytes::from(encode(event));
        let mut sequence = held.sequence;
        for _ in 0..CONFLICTS_MAX {
            let mut message = Outgoing::new(&subject, payload.clone()).expecting_last_sequence(sequence);
            if matches!(event, IndexedEvent::Removed { .. }) {
                message = message.expiring_after(self.tombstones_live);
            }
            match publish(&self.nats, message).await {
                Ok(_) => return Ok(Standing::Newer),
                Err(PublishError::WrongLastSequence { .. }) => {}
                Err(error) => return Err(WriteError::Publish(error)),
            }
            let held = self.read(key).await.map_err(WriteError::Read)?;
            match held.standing(event.revision(), &self.model) {
                Standing::Newer => sequence = held.sequence,
                there_or_stale => return Ok(there_or_stale),
            }
        }
        Err(WriteError::Conflicts)
    }
}

impl Held {
    /// How `revision`, seen by `model`, relates to what is held.
    pub(crate) fn standing(&self, revision: u64, model: &str) -> Standing {
        let Some(event) = &self.event else { return Standing::Newer };
        match event.revision().cmp(&revision) {
            std::cmp::Ordering::Less => Standing::Newer,
            std::cmp::Ordering::Greater => Standing::Stale,
            std::cmp::Ordering::Equal => match event {
                IndexedEvent::Indexed { model: other, .. } if other != model => Standing::Newer,
                _ => Standing::There,
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
            (None, 1, Standing::Newer),
            (Some(indexed(4, "m")), 5, Standing::Newer),
            (Some(indexed(5, "m")), 5, Standing::There),
            (Some(indexed(5, "other")), 5, Standing::Newer),
            (Some(indexed(6, "m")), 5, Standing::Stale),
            (Some(indexed(6, "other")), 5, Standing::Stale),
            (Some(removed(4)), 5, Standing::Newer),
            (Some(removed(5)), 5, Standing::There),
            (Some(removed(6)), 5, Standing::Stale),
        ] {
            let held = Held { sequence: 9, event };
            assert_eq!(held.standing(revision, "m"), standing, "{held:?} {revision}");
        }
    }
}
