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
/// by bucket, and within one bucket by insertion. `capacity` is what the map was made with (16
/// where Java code says nothing).
pub fn hash_order<T>(items: &mut [T], capacity: usize, key: impl Fn(&T) -> &str) {
    by_bucket(items, capacity, |item| string_hash(key(item)));
}

/// The same for keys that are partitions, given as topic and index.
pub fn partition_order<T>(items: &mut [T], key: impl Fn(&T) -> (&str, i32)) {
    by_bucket(items, 16, |item| {
        let (topic, partition) = key(item);
        let hash = 31i32.wrapping_add(partition);
        hash.wrapping_mul(31).wrapping_add(string_hash(topic))
    });
}

fn by_bucket<T>(items: &mut [T], capacity: usize, hash: impl Fn(&T) -> i32) {
    let buckets = table_size(capacity, items.len());
    items.sort_by_key(|item| {
        let hash = hash(item) as u32;
        (hash ^ (hash >> 16)) as usize & (buckets - 1)
    });
}

/// The number of buckets after `len` insertions: it doubles when three quarters are passed.
fn table_size(capacity: usize, len: usize) -> usize {
    let mut size = capacity.max(1).next_power_of_two();
    while len > size * 3 / 4 {
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
        hash_order(&mut names, 16, |name| name);
        assert_eq!(
            names,
            ["zeta", "Mid-1", "alpha", "__consumer_offsets", "beta"]
        );
    }

    /// As Kafka 4.3.1 warned of these partitions.
    #[test]
    fn partitions_have_an_order_of_their_own() {
        let mut partitions = [("grs-one", 0), ("grs-one", 1)];
        partition_order(&mut partitions, |partition| *partition);
        assert_eq!(partitions, [("grs-one", 1), ("grs-one", 0)]);
    }

    /// As Kafka 4.3.1 described these topics: from a map made with their number as capacity.
    #[test]
    fn described_topics_come_in_the_order_of_a_map_of_their_size() {
        let want = [
            "configs",
            "compacted",
            "txn-compacted",
            "rolled",
            "txn",
            "appendtime",
            "g-streams-cnt-changelog",
            "name.with.dots_and-dashes",
            "c-zstd",
            "__share_group_state",
            "c-lz4",
            "plain",
            "__transaction_state",
            "compacted-notomb",
            "c-snappy",
            "b-zstd",
            "txn-open",
            "trimmed",
            "__consumer_offsets",
            "c-gzip",
        ];
        let mut names = want;
        names.sort_unstable();
        hash_order(&mut names, 20, |name| name);
        assert_eq!(names, want);
    }
}
