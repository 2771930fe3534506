//! The result of a search: tools, each with its cosine to every vector that was asked for.

use std::cmp::Ordering;

use uuid::Uuid;

/// Rows of [`Scores::sample`] at most.
pub const SAMPLE_MAX: usize = 1_024;

/// Tools and a row of cosines for each: one number per vector of the search, in the order of the vectors.
///
/// All rows lie in one block, and so do those of the sample: a search allocates per answer, not per tool.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    width: usize,
    point_ids: Vec<Uuid>,
    rows: Vec<f32>,
    sample: Vec<f32>,
}

impl Scores {
    /// Makes the result of a search with `width` vectors that has found nothing yet.
    pub const fn new(width: usize) -> Self {
        Self { width, point_ids: Vec::new(), rows: Vec::new(), sample: Vec::new() }
    }

    /// Adds a tool with its cosine to every vector.
    pub fn push(&mut self, point_id: Uuid, row: &[f32]) {
        assert_eq!(row.len(), self.width, "a row holds one cosine for each vector");
        self.point_ids.push(point_id);
        self.rows.extend_from_slice(row);
    }

    /// Adds a row to the sample.
    pub fn push_sample(&mut self, row: &[f32]) {
        assert_eq!(row.len(), self.width, "a row holds one cosine for each vector");
        self.sample.extend_from_slice(row);
    }

    /// Returns the number of vectors asked for: the length of each row.
    pub const fn width(&self) -> usize {
        self.width
    }

    /// Returns the number of tools found.
    pub const fn len(&self) -> usize {
        self.point_ids.len()
    }

    /// Returns whether no tool was found. The sample may hold rows even then.
    pub const fn is_empty(&self) -> bool {
        self.point_ids.is_empty()
    }

    /// Returns the tools found, each once, with their rows: those nearest to the first vector first, equally
    /// near ones by id.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Uuid, &[f32])> + Clone {
        self.point_ids.iter().copied().zip(self.chunks(&self.rows))
    }

    /// Returns the rows of up to [`SAMPLE_MAX`] tools that stand for all that the predicate admits, found or
    /// not: what is near can be told from what is usual only by comparison.
    ///
    /// The tools are those with the smallest point ids. Ids are hashes, so that this is a uniform choice, and
    /// the same in every worker and every store. Exactly: take the predicate without what it excludes, of the
    /// tools that it admits then the [`SAMPLE_MAX`] smallest ids, and leave out the excluded ones; in
    /// ascending order.
    pub fn sample(&self) -> impl ExactSizeIterator<Item = &[f32]> + Clone {
        self.chunks(&self.sample)
    }

    fn chunks<'a>(&self, rows: &'a [f32]) -> std::slice::ChunksExact<'a, f32> {
        // Without vectors there are no rows, and any length but zero will do.
        rows.chunks_exact(self.width.max(1))
    }
}

/// Returns the nearer one first, and of equally near ones the smaller id, so that the order is always the
/// same.
pub(crate) fn nearest_first(a: (f32, Uuid), b: (f32, Uuid)) -> Ordering {
    b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::Scores;

    #[test]
    fn rows_come_out_as_they_went_in() {
        let mut scores = Scores::new(2);
        assert!(scores.is_empty());
        scores.push(Uuid::from_u128(1), &[0.1, 0.2]);
        scores.push(Uuid::from_u128(2), &[0.3, 0.4]);
        scores.push_sample(&[0.5, 0.6]);
        assert_eq!((scores.len(), scores.width()), (2, 2));
        let rows: Vec<(Uuid, &[f32])> = scores.iter().collect();
        assert_eq!(rows, [(Uuid::from_u128(1), &[0.1, 0.2][..]), (Uuid::from_u128(2), &[0.3, 0.4])]);
        assert_eq!(scores.sample().collect::<Vec<_>>(), [&[0.5, 0.6][..]]);
    }

    #[test]
    fn without_vectors_there_is_nothing() {
        let scores = Scores::new(0);
        assert_eq!((scores.iter().len(), scores.sample().len()), (0, 0));
    }
}
