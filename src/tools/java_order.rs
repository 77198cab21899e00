//! The order in which Java's `HashMap` and `HashSet` of strings give their elements.
//!
//! Kafka's tools print some collections in that order; scripts that compare output see it, so it is
//! computed, not sorted away.

/// Java's `String.hashCode`: over UTF-16 units.
pub fn string_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0i32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(i32::from(unit))
    })
}

/// Sorts `items`, given in the order they were inserted, as a `HashMap` with these keys iterates:
/// by bucket, and within one bucket by insertion.
pub fn hash_order<T>(items: &mut [T], key: impl Fn(&T) -> &str) {
    let buckets = table_size(items.len());
    items.sort_by_key(|item| {
        let hash = string_hash(key(item)) as u32;
        (hash ^ (hash >> 16)) as usize & (buckets - 1)
    });
}

/// The number of buckets after `len` insertions into a map made without a capacity.
fn table_size(len: usize) -> usize {
    let mut size = 16usize;
    while len > size / 4 * 3 {
        size *= 2;
    }
    size
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_javas() {
        for (text, want) in [
            ("", 0),
            ("a", 97),
            ("hello", 99_162_322),
            ("grün", 3_185_949),
        ] {
            assert_eq!(string_hash(text), want, "{text}");
        }
    }

    /// Printed by `new HashMap` in Java 17 for these keys.
    #[test]
    fn order_is_javas() {
        let mut names = ["zeta", "alpha", "Mid-1", "__consumer_offsets", "beta"];
        hash_order(&mut names, |name| name);
        assert_eq!(
            names,
            ["zeta", "Mid-1", "alpha", "__consumer_offsets", "beta"]
        );
    }
}
