//! What members tell each other through the coordinator: Kafka's consumer protocol.
//!
//! ```text
//! subscription: version i16 │ topics │ user data │ 1+ owned partitions │ 2+ generation │ 3+ rack
//! assignment:   version i16 │ partitions by topic │ user data
//! ```
//! A newer version is read as the newest known one: it may only add fields at the end.
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::client::TopicPartition;
use crate::client::config::AssignorKind;
use crate::client::consumer::assignor::MemberSubscription;
use crate::client::errors::{ClientError, Result};
use crate::protocol::Message;
use crate::protocol::messages::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, consumer_protocol_assignment,
    consumer_protocol_subscription,
};
use crate::protocol::wire::{Reader, Writer};

/// What a member says when it joins.
#[derive(Debug, Clone, Default)]
pub struct Subscription {
    pub topics: Vec<Arc<str>>,
    /// What it keeps while it joins; nothing in an eager rebalance.
    pub owned: Vec<TopicPartition>,
    /// What it had last, for the eager sticky assignor.
    pub previous: Vec<TopicPartition>,
}

/// The subscription that a member sends for one assignor.
pub fn encode_subscription(
    kind: AssignorKind,
    subscription: &Subscription,
    generation: i32,
    rack: &str,
) -> Result<Bytes> {
    let owned_partitions = by_topic(&subscription.owned)
        .into_iter()
        .map(
            |(topic, partitions)| consumer_protocol_subscription::TopicPartition {
                topic: topic.to_string(),
                partitions,
            },
        );
    let topics = &subscription.topics;
    let subscription = ConsumerProtocolSubscription {
        topics: topics.iter().map(ToString::to_string).collect(),
        user_data: user_data(kind, &by_topic(&subscription.previous), generation)?,
        owned_partitions: owned_partitions.collect(),
        generation_id: generation,
        rack_id: Some(rack)
            .filter(|rack| !rack.is_empty())
            .map(str::to_owned),
    };
    encode(&subscription)
}

/// What the sticky assignors of Kafka put beside the subscription: the generation, and for the
/// eager one, which gives everything up before it joins, what it had.
fn user_data(
    kind: AssignorKind,
    owned: &BTreeMap<Arc<str>, Vec<i32>>,
    generation: i32,
) -> Result<Option<Bytes>> {
    let mut writer = Writer::with_capacity(64);
    match kind {
        AssignorKind::Range | AssignorKind::RoundRobin => return Ok(None),
        AssignorKind::CooperativeSticky => writer.i32(generation),
        AssignorKind::Sticky => {
            writer.i32(i32::try_from(owned.len()).unwrap_or(i32::MAX));
            for (topic, partitions) in owned {
                writer.string(topic, false)?;
                writer.i32(i32::try_from(partitions.len()).unwrap_or(i32::MAX));
                partitions.iter().for_each(|index| writer.i32(*index));
            }
            writer.i32(generation);
        }
    }
    Ok(writer.finish().to_bytes())
}

/// Reads a member's subscription.
pub fn decode_subscription(kind: AssignorKind, bytes: Bytes) -> Result<MemberSubscription> {
    let subscription: ConsumerProtocolSubscription = decode(bytes)?;
    let mut member = MemberSubscription {
        group_instance_id: None,
        topics: subscription.topics.into_iter().map(Into::into).collect(),
        owned: Vec::new(),
        generation: subscription.generation_id,
    };
    for owned in subscription.owned_partitions {
        let topic: Arc<str> = owned.topic.into();
        let indexes = owned.partitions.into_iter();
        member
            .owned
            .extend(indexes.map(|index| TopicPartition::new(topic.clone(), index)));
    }
    match (kind, subscription.user_data) {
        (AssignorKind::Sticky, Some(data)) => {
            // Foreign user data is no reason to fail the group: the member owned nothing then.
            if let Ok((owned, generation)) = decode_sticky(data) {
                (member.owned, member.generation) = (owned, generation);
            }
        }
        (AssignorKind::CooperativeSticky, Some(data)) => {
            if let Some(generation) = data.first_chunk::<4>() {
                member.generation = i32::from_be_bytes(*generation);
            }
        }
        _ => {}
    }
    Ok(member)
}

fn decode_sticky(data: Bytes) -> Result<(Vec<TopicPartition>, i32)> {
    let mut reader = Reader::new(data);
    let mut owned = Vec::new();
    for _ in 0..reader.i32()?.max(0) {
        let topic: Arc<str> = reader.string::<String>(false)?.into();
        for _ in 0..reader.i32()?.max(0) {
            owned.push(TopicPartition::new(topic.clone(), reader.i32()?));
        }
    }
    // Version 0 of the user data had no generation.
    let generation = if reader.remaining() >= 4 {
        reader.i32()?
    } else {
        -1
    };
    Ok((owned, generation))
}

pub fn encode_assignment(partitions: &[TopicPartition]) -> Result<Bytes> {
    let assigned = by_topic(partitions).into_iter().map(|(topic, partitions)| {
        consumer_protocol_assignment::TopicPartition {
            topic: topic.to_string(),
            partitions,
        }
    });
    encode(&ConsumerProtocolAssignment {
        assigned_partitions: assigned.collect(),
        user_data: None,
    })
}

/// An empty assignment may have no bytes at all.
pub fn decode_assignment(bytes: Bytes) -> Result<Vec<TopicPartition>> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let assignment: ConsumerProtocolAssignment = decode(bytes)?;
    let mut partitions = Vec::new();
    for assigned in assignment.assigned_partitions {
        let topic: Arc<str> = assigned.topic.into();
        let indexes = assigned.partitions.into_iter();
        partitions.extend(indexes.map(|index| TopicPartition::new(topic.clone(), index)));
    }
    Ok(partitions)
}

fn by_topic(partitions: &[TopicPartition]) -> BTreeMap<Arc<str>, Vec<i32>> {
    let mut topics: BTreeMap<Arc<str>, Vec<i32>> = BTreeMap::new();
    for partition in partitions {
        topics
            .entry(partition.topic.clone())
            .or_default()
            .push(partition.partition);
    }
    topics
}

fn encode<M: Message>(message: &M) -> Result<Bytes> {
    let mut writer = Writer::with_capacity(128);
    writer.i16(M::MAX_VERSION);
    message.encode(&mut writer, M::MAX_VERSION)?;
    writer
        .finish()
        .to_bytes()
        .ok_or_else(|| ClientError::protocol("no file ranges here"))
}

fn decode<M: Message>(bytes: Bytes) -> Result<M> {
    let mut reader = Reader::new(bytes);
    let version = reader.i16()?;
    if version < M::MIN_VERSION {
        return Err(ClientError::protocol(format!(
            "unsupported {} version {version}",
            M::NAME
        )));
    }
    Ok(M::decode(&mut reader, version.min(M::MAX_VERSION))?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn partitions(names: &[(&str, i32)]) -> Vec<TopicPartition> {
        names
            .iter()
            .map(|(topic, index)| TopicPartition::new(*topic, *index))
            .collect()
    }

    #[test]
    fn subscriptions_survive_for_every_assignor() {
        let topics: Vec<Arc<str>> = vec!["a".into(), "b".into()];
        let owned = partitions(&[("a", 0), ("a", 3), ("b", 1)]);
        let subscription = Subscription {
            topics: topics.clone(),
            owned: owned.clone(),
            previous: owned.clone(),
        };
        for kind in [
            AssignorKind::Range,
            AssignorKind::RoundRobin,
            AssignorKind::Sticky,
            AssignorKind::CooperativeSticky,
        ] {
            let bytes = encode_subscription(kind, &subscription, 9, "rack").unwrap();
            let member = decode_subscription(kind, bytes).unwrap();
            assert_eq!(
                (&member.topics, &member.owned, member.generation),
                (&topics, &owned, 9)
            );
        }
    }

    #[test]
    fn assignments_survive_and_later_versions_are_read() {
        let assigned = partitions(&[("a", 0), ("b", 7)]);
        let bytes = encode_assignment(&assigned).unwrap();
        assert_eq!(decode_assignment(bytes.clone()).unwrap(), assigned);
        let mut newer = bytes.to_vec();
        newer[1] = 9;
        newer.extend(b"what version 9 may add");
        assert_eq!(decode_assignment(newer.into()).unwrap(), assigned);
        assert_eq!(decode_assignment(Bytes::new()).unwrap(), []);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let bytes = Bytes::from(bytes);
            let _any = decode_assignment(bytes.clone()).is_ok();
            let _any = decode_subscription(AssignorKind::Sticky, bytes.clone()).is_ok();
            let _any = decode_subscription(AssignorKind::CooperativeSticky, bytes.clone()).is_ok();
            let _any = decode_sticky(bytes).is_ok();
        }
    }
}
