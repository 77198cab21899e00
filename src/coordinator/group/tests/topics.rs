//! Cluster metadata for tests.
use crate::metadata::delta::MetadataDelta;
use crate::metadata::image::MetadataImage;
use crate::metadata::record::{MetadataRecord, v0};
use crate::protocol::Uuid;
use crate::protocol::records::metadata::{PartitionRecord, RegisterBrokerRecord, TopicRecord};

/// A topic by id and name, with the replicas of each partition.
pub type Topic<'a> = (u128, &'a str, &'a [&'a [i32]]);

/// Brokers with their racks, and topics.
pub fn image_with(racks: &[(i32, &str)], topics: &[Topic]) -> MetadataImage {
    let mut delta = MetadataDelta::new(&MetadataImage::default());
    let mut replay = |record: MetadataRecord| delta.replay(&v0(record)).expect("legal");
    for (broker_id, rack) in racks {
        replay(MetadataRecord::RegisterBroker(RegisterBrokerRecord {
            broker_id: *broker_id,
            rack: Some(rack.to_string()),
            ..Default::default()
        }));
    }
    for (id, name, partitions) in topics {
        let topic_id = Uuid::from_u128(*id);
        replay(MetadataRecord::Topic(TopicRecord {
            name: name.to_string(),
            topic_id,
            ..Default::default()
        }));
        for (partition_id, replicas) in (0..).zip(*partitions) {
            replay(MetadataRecord::Partition(PartitionRecord {
                partition_id,
                topic_id,
                replicas: replicas.to_vec(),
                isr: replicas.to_vec(),
                leader: replicas.first().copied().unwrap_or(-1),
                directories: vec![Uuid::ZERO; replicas.len()],
                ..Default::default()
            }));
        }
    }
    delta.image().clone()
}

/// Topics of one broker, by name and number of partitions; their ids count from 1.
pub fn image_of(topics: &[(&str, usize)]) -> MetadataImage {
    let replicas: &[i32] = &[1];
    let partitions: Vec<Vec<&[i32]>> = topics.iter().map(|(_, n)| vec![replicas; *n]).collect();
    let topics: Vec<Topic> = topics
        .iter()
        .zip(&partitions)
        .zip(1..)
        .map(|(((name, _), partitions), id)| (id, *name, partitions.as_slice()))
        .collect();
    image_with(&[], &topics)
}
