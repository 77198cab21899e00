//! Which member is asked for what a store has: its endpoint, and the partitions whose tasks it runs
//! or copies (interactive queries).
use super::configure::{ConfiguredSubtopology, ConfiguredTopology};
use super::member::StreamsMember;
use super::tasks::{TaskSet, without_epochs};
use crate::metadata::image::MetadataImage;
use crate::protocol::messages::streams_group_heartbeat_response::{
    Endpoint, EndpointToPartitions, TopicPartition,
};

/// `None`: the member has no endpoint, or nothing is known of its tasks.
pub fn partitions_of(
    member: &StreamsMember,
    configured: &ConfiguredTopology,
    image: &MetadataImage,
) -> Option<EndpointToPartitions> {
    let endpoint = member.endpoint.as_ref()?;
    let subtopologies = configured.subtopologies.as_ref()?;
    let of = |tasks: &TaskSet| {
        let tasks = tasks.iter().filter_map(|(id, partitions)| {
            let partitions: Vec<i32> = partitions.iter().copied().collect();
            Some(read_by(subtopologies.get(id)?, &partitions, image))
        });
        tasks.flatten().collect()
    };
    Some(EndpointToPartitions {
        user_endpoint: Endpoint {
            host: endpoint.host.clone(),
            port: endpoint.port,
        },
        active_partitions: of(&without_epochs(&member.assigned.active)),
        standby_partitions: of(&member.assigned.standby),
    })
}

/// A topic may have fewer partitions than its subtopology has tasks.
fn read_by(
    subtopology: &ConfiguredSubtopology,
    tasks: &[i32],
    image: &MetadataImage,
) -> Vec<TopicPartition> {
    let repartition = subtopology.repartition_source_topics.keys();
    let topics = subtopology.source_topics.iter().chain(repartition);
    let of_topic = |name: &String| {
        let count = image.topics.get(name)?.partitions.len();
        Some(TopicPartition {
            topic: name.clone(),
            partitions: tasks.iter().copied().take(count).collect(),
        })
    };
    topics.filter_map(of_topic).collect()
}
