//! The work that a batch of events asks for, as a pure function: no connection, no model, no clock.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use toolweaver_contracts::{Fault, Tool, ToolEvent, ToolKey};

/// One event as it was delivered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Incoming<'a> {
    /// The subject that it was published on.
    pub(crate) subject: &'a str,
    /// The body that was published.
    pub(crate) payload: &'a [u8],
    /// Its sequence in TOOLS.
    pub(crate) revision: u64,
}

/// The work for a batch. Every event is in exactly one place of it, named by its index in the batch.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// The newest readable event of each tool, in the order in which the tools first appear.
    pub(crate) changes: Vec<Change>,
    /// Events that a newer one of the same tool makes pointless.
    pub(crate) superseded: Vec<usize>,
    /// Events that nobody can read, and why.
    pub(crate) rejected: Vec<(usize, Fault)>,
}

/// The new state of one tool.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Change {
    /// Which tool.
    pub(crate) key: ToolKey,
    /// Sequence of its event in TOOLS.
    pub(crate) revision: u64,
    /// The tool as registered, or none if it was removed.
    pub(crate) tool: Option<Arc<Tool>>,
    /// The deliveries of this event: more than one if it was delivered again while its first delivery waited.
    pub(crate) deliveries: Vec<usize>,
}

/// Reads a batch. Of each tool only the newest event counts, whatever the order of delivery.
///
/// An event that cannot be read supersedes nothing, so that a batch ends as if its events had come one by
/// one.
pub(crate) fn plan<'a>(batch: impl IntoIterator<Item = Incoming<'a>>) -> Plan {
    let mut plan = Plan::default();
    let mut places: HashMap<ToolKey, usize> = HashMap::new();
    for (delivery, event) in batch.into_iter().enumerate() {
        match ToolEvent::decode(event.subject, event.payload) {
            Ok((key, event_read)) => {
                let tool = match event_read {
                    ToolEvent::Registered { tool } => Some(Arc::from(tool)),
                    ToolEvent::Removed => None,
                };
                let change = Change { key, revision: event.revision, tool, deliveries: vec![delivery] };
                plan.add(change, &mut places);
            }
            Err(fault) => plan.rejected.push((delivery, fault)),
        }
    }
    plan
}

impl Plan {
    fn add(&mut self, change: Change, places: &mut HashMap<ToolKey, usize>) {
        let Some(&place) = places.get(&change.key) else {
            places.insert(change.key.clone(), self.changes.len());
            self.changes.push(change);
            return;
        };
        let known = &mut self.changes[place];
        match change.revision.cmp(&known.revision) {
            Ordering::Greater => {
                self.superseded.append(&mut known.deliveries);
                *known = change;
            }
            // Acknowledging one delivery acknowledges the event, so both must share one outcome.
            Ordering::Equal => known.deliveries.extend(change.deliveries),
            Ordering::Less => self.superseded.extend(change.deliveries),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    const REMOVED: &[u8] = br#"{"event":"removed"}"#;

    fn registered(name: &str, description: &str) -> Vec<u8> {
        format!(r#"{{"event":"registered","tool":{{"tool_name":"{name}","description":"{description}"}}}}"#)
            .into_bytes()
    }

    fn subject(name: &str) -> String {
        format!("tools.v1.default.general.{name}")
    }

    fn plan_of(events: &[(&str, &[u8], u64)]) -> Plan {
        let subjects: Vec<String> = events.iter().map(|(name, ..)| subject(name)).collect();
        plan(events.iter().zip(&subjects).map(|(&(_, payload, revision), subject)| Incoming {
            subject,
            payload,
            revision,
        }))
    }

    #[test]
    fn the_newest_event_of_a_tool_counts() {
        let (old, new) = (registered("a", "old"), registered("a", "new"));
        let plan = plan_of(&[("a", &old, 3), ("b", REMOVED, 4), ("a", &new, 7), ("a", REMOVED, 5)]);
        assert_eq!(plan.changes.len(), 2);
        assert_eq!(plan.changes[0].revision, 7);
        assert_eq!(plan.changes[0].tool.as_ref().unwrap().description, "new");
        assert_eq!(plan.changes[0].deliveries, [2]);
        assert_eq!(plan.changes[1].tool, None);
        assert_eq!(plan.superseded, [0, 3]);
        assert!(plan.rejected.is_empty());
    }

    #[test]
    fn an_event_delivered_twice_is_one_change() {
        let tool = registered("a", "it");
        let plan = plan_of(&[("a", &tool, 3), ("a", &tool, 3)]);
        assert_eq!(plan.changes.len(), 1);
        assert_eq!(plan.changes[0].deliveries, [0, 1]);
        assert!(plan.superseded.is_empty());
    }

    #[test]
    fn what_cannot_be_read_is_rejected_and_supersedes_nothing() {
        let tool = registered("a", "it");
        let plan = plan_of(&[("a", &tool, 3), ("a", b"{", 4), ("b", &tool, 5)]);
        assert_eq!(plan.changes.len(), 1);
        assert_eq!(plan.changes[0].revision, 3);
        let rejected: Vec<usize> = plan.rejected.iter().map(|(delivery, _)| *delivery).collect();
        assert_eq!(rejected, [1, 2]);
        assert_eq!(plan.rejected[1].1.pointer.as_deref(), Some("/tool/tool_name"));
    }

    proptest! {
        #[test]
        fn every_delivery_is_somewhere_once_and_the_highest_readable_revision_wins(
            events in prop::collection::vec((0_usize..4, 0_u64..12, 0_u8..3), 0..40),
        ) {
            let names = ["a", "b", "c", "d"];
            // As in a stream: one sequence is one event, whoever delivers it how often.
            let mut by_revision = BTreeMap::new();
            for &(name, revision, kind) in &events {
                by_revision.entry(revision).or_insert((names[name], kind));
            }
            let payload = |name: &str, kind: u8| match kind {
                0 => registered(name, "it"),
                1 => REMOVED.to_vec(),
                _ => b"{".to_vec(),
            };
            let batch: Vec<(&str, Vec<u8>, u64)> = events
                .iter()
                .map(|(_, revision, _)| {
                    let (name, kind) = by_revision[revision];
                    (name, payload(name, kind), *revision)
                })
                .collect();
            let views: Vec<_> = batch.iter().map(|(name, body, revision)| (*name, &body[..], *revision)).collect();
            let plan = plan_of(&views);

            let mut places: Vec<usize> = plan.superseded.clone();
            places.extend(plan.rejected.iter().map(|(delivery, _)| *delivery));
            places.extend(plan.changes.iter().flat_map(|change| change.deliveries.iter().copied()));
            places.sort_unstable();
            prop_assert_eq!(places, (0..batch.len()).collect::<Vec<_>>());

            let keys: BTreeSet<&ToolKey> = plan.changes.iter().map(|change| &change.key).collect();
            prop_assert_eq!(keys.len(), plan.changes.len());
            for change in &plan.changes {
                let newest = batch
                    .iter()
                    .filter(|(name, body, _)| *name == change.key.tool_name.as_str() && body != b"{")
                    .map(|(_, _, revision)| *revision)
                    .max();
                prop_assert_eq!(Some(change.revision), newest);
                prop_assert!(change.deliveries.iter().all(|&delivery| batch[delivery].2 == change.revision));
            }
        }
    }
}
