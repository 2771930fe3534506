//! The tools of one tenant.

use std::collections::HashMap;

use uuid::Uuid;

use crate::{
    Point, SAMPLE_MAX, Scores, Tombstone,
    cosine::{Queries, unit},
    memory::{
        labels::{Facets, Filter, Labels},
        ranking::{Least, Scored},
    },
    scores::nearest_first,
};

/// Tools and their vectors in slots 0..n without gaps: the last one moves into the slot of one that is
/// removed.
#[derive(Debug)]
pub(super) struct Partition {
    dims: usize,
    /// Unit vectors, slot after slot.
    vectors: Vec<f32>,
    /// The data that filters look at, by slot.
    heads: Vec<Head>,
    /// The revisions stored, by slot.
    revisions: Vec<u64>,
    slots: HashMap<Uuid, usize>,
    /// Revisions of removed tools.
    tombstones: HashMap<Uuid, u64>,
}

#[derive(Debug)]
struct Head {
    point_id: Uuid,
    facets: Facets,
}

impl Partition {
    pub(super) fn new(dims: usize) -> Self {
        Self {
            dims,
            vectors: Vec::new(),
            heads: Vec::new(),
            revisions: Vec::new(),
            slots: HashMap::new(),
            tombstones: HashMap::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.heads.len()
    }

    /// Stores the point unless its revision, or a higher one, is stored or was removed.
    pub(super) fn upsert(&mut self, point: &Point, labels: &mut Labels) {
        let point_id = point.key.point_id();
        if self.revision(&point_id) >= Some(point.revision) {
            return;
        }
        self.tombstones.remove(&point_id);
        let head = Head { point_id, facets: labels.facets(&point.key, &point.tool) };
        let vector = unit(&point.vector);
        if let Some(&slot) = self.slots.get(&point_id) {
            self.heads[slot] = head;
            self.revisions[slot] = point.revision;
            for (stored, x) in self.vectors[slot * self.dims..].iter_mut().zip(vector) {
                *stored = x;
            }
        } else {
            self.slots.insert(point_id, self.heads.len());
            self.heads.push(head);
            self.revisions.push(point.revision);
            self.vectors.extend(vector);
        }
    }

    /// Removes the tool and remembers the revision, unless that revision, or a higher one, is stored or was
    /// removed.
    pub(super) fn remove(&mut self, tombstone: &Tombstone) {
        let point_id = tombstone.key.point_id();
        if self.revision(&point_id) >= Some(tombstone.revision) {
            return;
        }
        self.tombstones.insert(point_id, tombstone.revision);
        let Some(slot) = self.slots.remove(&point_id) else { return };
        self.heads.swap_remove(slot);
        self.revisions.swap_remove(slot);
        let last = self.vectors.len() - self.dims;
        self.vectors.copy_within(last.., slot * self.dims);
        self.vectors.truncate(last);
        if let Some(moved) = self.heads.get(slot) {
            self.slots.insert(moved.point_id, slot);
        }
    }

    /// See [`VectorStore::search`](crate::VectorStore::search). Every stored vector is read once for all
    /// queries.
    pub(super) fn search(&self, queries: &Queries, filter: &Filter, limit: usize, also: &[Uuid]) -> Scores {
        let width = queries.len();
        let mut scores = Scores::new(width);
        if width == 0 {
            return scores;
        }
        // By slot, so that the few rows that are wanted in the end need not be known before. The rows of
        // tools that are not admitted stay zero and are never looked at.
        let mut rows = vec![0.0; self.len() * width];
        let mut nearest: Vec<Least<Scored>> = (0..width).map(|_| Least::new(limit, self.len())).collect();
        let mut sample = Least::new(SAMPLE_MAX, self.len());
        let stored = self.heads.iter().zip(self.vectors.chunks_exact(self.dims));
        for (slot, ((head, vector), row)) in stored.zip(rows.chunks_exact_mut(width)).enumerate() {
            if !filter.fits(&head.facets) {
                continue;
            }
            sample.offer((head.point_id, slot));
            if filter.excludes(&head.point_id) {
                continue;
            }
            queries.cosines(vector, row);
            for (nearest, &score) in nearest.iter_mut().zip(&*row) {
                nearest.offer(Scored { score, point_id: head.point_id, slot });
            }
        }

        let row = |slot: usize| &rows[slot * width..(slot + 1) * width];
        for slot in self.chosen(nearest, filter, also, |slot| row(slot)[0]) {
            scores.push(self.heads[slot].point_id, row(slot));
        }
        for (point_id, slot) in sample.into_sorted() {
            if !filter.excludes(&point_id) {
                scores.push_sample(row(slot));
            }
        }
        scores
    }

    /// Returns the slots of the nearest tools and of the admitted ones in `also`: each once, the highest
    /// `score` first.
    fn chosen(
        &self,
        nearest: Vec<Least<Scored>>,
        filter: &Filter,
        also: &[Uuid],
        score: impl Fn(usize) -> f32,
    ) -> Vec<usize> {
        let mut slots: Vec<usize> =
            nearest.into_iter().flat_map(Least::into_sorted).map(|scored| scored.slot).collect();
        let known = also.iter().filter_map(|point_id| self.slots.get(point_id).copied());
        slots.extend(known.filter(|&slot| {
            let head = &self.heads[slot];
            filter.admits(&head.point_id, &head.facets)
        }));
        slots.sort_unstable();
        slots.dedup();
        let place = |slot: usize| (score(slot), self.heads[slot].point_id);
        slots.sort_unstable_by(|&a, &b| nearest_first(place(a), place(b)));
        slots
    }

    /// Returns the revision stored or removed last.
    fn revision(&self, point_id: &Uuid) -> Option<u64> {
        let stored = self.slots.get(point_id).map(|&slot| self.revisions[slot]);
        stored.or_else(|| self.tombstones.get(point_id).copied())
    }
}
