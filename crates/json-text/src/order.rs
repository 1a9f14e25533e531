//! One sort for every list: each list with a sort of its own would make the module
//! four kilobytes larger.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// The places from 0 to `length` in the order that `compare` gives; equal ones stay
/// as they stand.
// The sort of slices would make the module seven kilobytes larger.
pub fn order(length: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let heap: BinaryHeap<Place<'_>> = (0..length).map(|at| Place { at, compare }).collect();
    heap.into_sorted_vec().into_iter().map(|place| place.at).collect()
}

/// An element, by its place in the list.
struct Place<'c> {
    at: usize,
    compare: &'c dyn Fn(usize, usize) -> Ordering,
}

impl Ord for Place<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.compare)(self.at, other.at).then(self.at.cmp(&other.at))
    }
}

impl PartialOrd for Place<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Place<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Place<'_> {}

#[cfg(test)]
mod tests {
    use super::order;

    #[test]
    fn equal_ones_stay_as_they_stand() {
        let words = ["b2", "a1", "b1", "a2"];
        let by_letter = order(words.len(), &|left, right| words[left][..1].cmp(&words[right][..1]));
        assert_eq!(by_letter, [1, 3, 0, 2]);
    }
}
