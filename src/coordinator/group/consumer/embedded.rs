//! The consumer protocol inside the classic one: what classic members say in JoinGroup and are told
//! in SyncGroup.
use bytes::Bytes;

use super::member::Partitions;
use crate::metadata::image::MetadataImage;
use crate::protocol::Message;
use crate::protocol::messages::consumer_protocol_assignment::TopicPartition;
use crate::protocol::messages::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use crate::protocol::records::encode_value;
use crate::protocol::wire::{DecodeError, EncodeError, Reader};

/// A subscription, and the version it came in. Later versions than ours begin as ours does.
pub fn subscription(metadata: &Bytes) -> Result<(ConsumerProtocolSubscription, i16), DecodeError> {
    decode(metadata)
}

/// An assignment; of a member that never had one there is none.
pub fn assignment(bytes: &Bytes) -> Result<Option<ConsumerProtocolAssignment>, DecodeError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    decode(bytes).map(|(assignment, _)| Some(assignment))
}

fn decode<M: Message>(bytes: &Bytes) -> Result<(M, i16), DecodeError> {
    let mut reader = Reader::new(bytes.clone());
    let version = reader.i16()?.clamp(M::MIN_VERSION, M::MAX_VERSION);
    Ok((M::decode(&mut reader, version)?, version))
}

/// By name, and without topics that are gone.
pub fn encode_assignment(
    partitions: &Partitions,
    version: i16,
    image: &MetadataImage,
) -> Result<Bytes, EncodeError> {
    let mut topics = Vec::with_capacity(partitions.len());
    for (id, partitions) in partitions {
        if let Some(topic) = image.topics.get_by_id(*id) {
            topics.push(TopicPartition {
                topic: topic.name.to_string(),
                partitions: partitions.iter().copied().collect(),
            });
        }
    }
    let assignment = ConsumerProtocolAssignment {
        assigned_partitions: topics,
        ..Default::default()
    };
    encode_value(&assignment, version)
}

/// By id, and without topics that are gone.
pub fn by_id<'a>(
    topics: impl Iterator<Item = (&'a str, &'a [i32])>,
    image: &MetadataImage,
) -> Partitions {
    let mut partitions = Partitions::new();
    for (name, indexes) in topics {
        if let Some(id) = image.topics.id_of(name) {
            let topic = partitions.entry(id).or_default();
            topic.extend(indexes.iter().copied());
        }
    }
    partitions
}
