//! One sort for every list: each list with a sort of its own would make the module
//! four kilobytes larger.

use std::cmp::Ordering;

/// The places from 0 to `length` in the order that `compare` gives; equal ones stay
/// as they stand.
pub fn order(length: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut order: Vec<usize> = (0..length).collect();
    order.sort_unstable_by(|left, right| compare(*left, *right).then(left.cmp(right)));
    order
}

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
