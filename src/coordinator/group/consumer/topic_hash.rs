//! What a group remembers of its topics' metadata: one hash (KIP-1101). The bytes that are hashed
//! are those of Kafka's, so that a group that changes brokers keeps its epoch.
//!
//! Strings go in as UTF-16 units followed by their number, numbers in little-endian order.
use twox_hash::XxHash3_64;

use crate::metadata::image::{MetadataImage, TopicImage};

/// Changes with the layout of what is hashed.
const LAYOUT: u8 = 0;

/// The hash of a topic: id, name, partitions and the racks that hold them.
pub fn topic_hash(image: &MetadataImage, topic: &TopicImage) -> i64 {
    let mut hash = Stream::default();
    hash.0.push(LAYOUT);
    let id = topic.id.as_u128();
    hash.long((id >> 64) as i64);
    hash.long(id as i64);
    hash.string(&topic.name);
    hash.int(topic.partitions.len());
    for (index, partition) in topic.partitions.values().enumerate() {
        hash.int(index);
        let rack = |node: &i32| image.cluster.broker(*node)?.rack.as_deref();
        let mut racks: Vec<&str> = partition.replicas.iter().filter_map(rack).collect();
        racks.sort_unstable();
        for rack in racks {
            hash.int(rack.encode_utf16().count());
            hash.string(rack);
        }
    }
    hash.finish()
}

/// The hash of a group: of its topics' hashes in the order of their names.
pub fn group_hash(topics: impl Iterator<Item = i64>) -> i64 {
    let mut hash = Stream::default();
    let mut topics = topics.peekable();
    if topics.peek().is_none() {
        return 0;
    }
    topics.for_each(|topic| hash.long(topic));
    hash.finish()
}

#[derive(Default)]
struct Stream(Vec<u8>);

impl Stream {
    fn long(&mut self, value: i64) {
        self.0.extend(value.to_le_bytes());
    }

    fn int(&mut self, value: usize) {
        let value = i32::try_from(value).unwrap_or(i32::MAX);
        self.0.extend(value.to_le_bytes());
    }

    fn string(&mut self, text: &str) {
        let mut units = 0;
        for unit in text.encode_utf16() {
            self.0.extend(unit.to_le_bytes());
            units += 1;
        }
        self.int(units);
    }

    fn finish(&self) -> i64 {
        XxHash3_64::oneshot(&self.0) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::group::tests::topics::image_with;

    /// Computed with the hash4j that Kafka 4.3.1 ships.
    const ORDERS: i64 = -4_737_687_771_124_103_619;
    const PAYMENTS: i64 = 1_994_882_212_394_819_115;
    const BOTH: i64 = -7_137_682_516_721_977_238;
    const ID: u128 = 0x0123_4567_89ab_cdef_8edc_ba98_7654_3210;

    fn hash_of(racks: &[(i32, &str)], name: &str, replicas: &[&[i32]]) -> i64 {
        let image = image_with(racks, &[(ID, name, replicas)]);
        topic_hash(&image, image.topics.get(name).expect("just made"))
    }

    #[test]
    fn hashes_are_kafkas() {
        assert_eq!(hash_of(&[], "orders", &[&[1], &[1], &[1]]), ORDERS);
        let racks = [(1, "r2"), (2, "r1")];
        assert_eq!(hash_of(&racks, "payments", &[&[1, 2], &[2]]), PAYMENTS);
        assert_eq!(group_hash([ORDERS, PAYMENTS].into_iter()), BOTH);
        assert_eq!(group_hash(std::iter::empty()), 0);
    }
}
